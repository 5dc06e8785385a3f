-- A column changes its type: SQLite's recipe, with children that cascade.
CREATE TABLE sensor_new (id INTEGER PRIMARY KEY, label TEXT NOT NULL UNIQUE, badge TEXT);
INSERT INTO sensor_new SELECT id, label, badge FROM sensor;
DROP TABLE sensor;
ALTER TABLE sensor_new RENAME TO sensor;
