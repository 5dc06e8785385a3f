ALTER TABLE sensor RENAME TO sensor_old;
DROP INDEX sensor_by_site;

CREATE TABLE sensor (
    id INTEGER PRIMARY KEY,
    site_id INTEGER NOT NULL REFERENCES site (id) ON DELETE CASCADE,
    label TEXT COLLATE NOCASE,
    value REAL NOT NULL DEFAULT 0
);

INSERT INTO sensor (id, site_id, label, value)
SELECT id, site_id, label, value
FROM sensor_old;

DROP TABLE sensor_old;
CREATE INDEX sensor_by_site ON sensor (site_id);
