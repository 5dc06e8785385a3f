CREATE UNIQUE INDEX sensor_by_label ON sensor (label);
