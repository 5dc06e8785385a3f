CREATE TABLE reading (id INTEGER PRIMARY KEY, value REAL NOT NULL);
INSERT INTO reading (id, value)
SELECT id, value FROM sensor;
