CREATE TABLE sensor_new (
    id INTEGER PRIMARY KEY,
    site_id INTEGER NOT NULL REFERENCES site (id) ON DELETE CASCADE,
    label TEXT NOT NULL,
    value REAL NOT NULL DEFAULT 0
);

INSERT INTO sensor_new (id, site_id, label, value)
SELECT id, site_id, label, value
FROM sensor;

DROP TABLE sensor;
ALTER TABLE sensor_new RENAME TO sensor;
CREATE INDEX sensor_by_site ON sensor (site_id);
