DROP INDEX sensor_by_site;
