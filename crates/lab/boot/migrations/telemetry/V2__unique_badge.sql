CREATE UNIQUE INDEX sensor_by_badge ON sensor (badge);
