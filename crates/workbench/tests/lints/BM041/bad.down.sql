DROP TABLE sensor;
CREATE TABLE sensor (
    id INTEGER PRIMARY KEY,
    site_id INTEGER NOT NULL REFERENCES site (id) ON DELETE CASCADE,
    label TEXT,
    value REAL NOT NULL DEFAULT 0
);
CREATE INDEX sensor_by_site ON sensor (site_id);
