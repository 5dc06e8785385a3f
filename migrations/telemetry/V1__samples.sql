-- One measured value. The sensor's number is that of the settings.
CREATE TABLE sample (
    id INTEGER PRIMARY KEY,
    sensor_id INTEGER NOT NULL,
    taken_at INTEGER NOT NULL,
    value REAL NOT NULL
);
