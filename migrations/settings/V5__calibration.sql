-- The installer's work, point by point: nothing of it can be measured again from afar.
CREATE TABLE calibration_point (
    id INTEGER PRIMARY KEY,
    sensor_id INTEGER NOT NULL REFERENCES sensor (id) ON DELETE CASCADE,
    raw REAL NOT NULL,
    reference REAL NOT NULL,
    UNIQUE (sensor_id, raw)
);
