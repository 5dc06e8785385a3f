CREATE TABLE reading (id INTEGER PRIMARY KEY, site_id INTEGER NOT NULL, label TEXT, value REAL NOT NULL);
INSERT INTO reading (id, site_id, label, value)
SELECT id, site_id, label, value FROM sensor;
