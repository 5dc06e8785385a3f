UPDATE sensor SET label = 'none' WHERE label IS NULL;
CREATE TRIGGER sensor_fixed BEFORE UPDATE ON sensor
BEGIN
    SELECT raise(ABORT, 'a sensor is fixed');
END;
