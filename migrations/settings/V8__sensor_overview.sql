-- bootmigrate: compatible-from = 6
CREATE VIEW sensor_overview AS
SELECT sensor.id AS sensor_id, site.name AS site, sensor.address, sensor.label, count(calibration_point.id) AS points
FROM sensor
JOIN site ON site.id = sensor.site_id
LEFT JOIN calibration_point ON calibration_point.sensor_id = sensor.id
GROUP BY sensor.id;
