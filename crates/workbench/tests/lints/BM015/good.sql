UPDATE sensor SET label = label || ' ' || id WHERE EXISTS (SELECT 1 FROM sensor AS other WHERE other.label = sensor.label AND other.id < sensor.id);
CREATE UNIQUE INDEX sensor_by_label ON sensor (label);
