DROP VIEW sensor_overview;
