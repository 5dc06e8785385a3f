-- bootmigrate: foreign-keys = on
-- bootmigrate: expect = SELECT id FROM sensor WHERE kind NOT IN ('temperature', 'humidity', 'pressure', 'unknown')
-- bootmigrate: expect = SELECT sensor_id FROM calibration_point WHERE sensor_id NOT IN (SELECT id FROM sensor)
-- Every sensor has a kind. SQLite cannot add a constraint to a table, so: a new table, copy, drop, rename.
-- The view names the table and has to stand aside; calibration_point refers to it by name and stays.
DROP VIEW sensor_overview;

CREATE TABLE sensor_new (
    id INTEGER PRIMARY KEY,
    site_id INTEGER NOT NULL REFERENCES site (id) ON DELETE CASCADE,
    address TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL DEFAULT '',
    kind TEXT NOT NULL CHECK (kind IN ('temperature', 'humidity', 'pressure', 'unknown'))
);

INSERT INTO sensor_new (id, site_id, address, label, kind)
SELECT id, site_id, address, coalesce(label, ''), CASE WHEN kind IN ('temperature', 'humidity', 'pressure') THEN kind ELSE 'unknown' END
FROM sensor;

DROP TABLE sensor;
ALTER TABLE sensor_new RENAME TO sensor;
CREATE INDEX sensor_by_site ON sensor (site_id);

CREATE VIEW sensor_overview AS
SELECT sensor.id AS sensor_id, site.name AS site, sensor.address, sensor.label, sensor.kind, count(calibration_point.id) AS points
FROM sensor
JOIN site ON site.id = sensor.site_id
LEFT JOIN calibration_point ON calibration_point.sensor_id = sensor.id
GROUP BY sensor.id;
