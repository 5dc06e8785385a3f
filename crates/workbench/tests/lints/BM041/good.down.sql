CREATE TABLE sensor_old (
    id INTEGER PRIMARY KEY,
    site_id INTEGER NOT NULL REFERENCES site (id) ON DELETE CASCADE,
    label TEXT,
    value REAL NOT NULL DEFAULT 0
);
INSERT INTO sensor_old (id, site_id, label, value) SELECT id, site_id, label, value FROM sensor;
DROP TABLE sensor;
ALTER TABLE sensor_old RENAME TO sensor;
CREATE INDEX sensor_by_site ON sensor (site_id);
