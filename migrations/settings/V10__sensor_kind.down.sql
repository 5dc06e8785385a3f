DROP VIEW sensor_overview;

CREATE TABLE sensor_old (
    id INTEGER PRIMARY KEY,
    site_id INTEGER NOT NULL REFERENCES site (id) ON DELETE CASCADE,
    address TEXT NOT NULL UNIQUE,
    label TEXT,
    kind TEXT
);

INSERT INTO sensor_old (id, site_id, address, label, kind)
SELECT id, site_id, address, nullif(label, ''), nullif(kind, 'unknown')
FROM sensor;

DROP TABLE sensor;
ALTER TABLE sensor_old RENAME TO sensor;
CREATE INDEX sensor_by_site ON sensor (site_id);

CREATE VIEW sensor_overview AS
SELECT sensor.id AS sensor_id, site.name AS site, sensor.address, sensor.label, count(calibration_point.id) AS points
FROM sensor
JOIN site ON site.id = sensor.site_id
LEFT JOIN calibration_point ON calibration_point.sensor_id = sensor.id
GROUP BY sensor.id;
