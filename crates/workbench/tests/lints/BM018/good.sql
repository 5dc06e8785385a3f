CREATE TABLE visit (
    id INTEGER PRIMARY KEY,
    sensor_id INTEGER NOT NULL REFERENCES sensor (id)
);
CREATE INDEX visit_by_sensor ON visit (sensor_id);
