CREATE TABLE site (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

CREATE TABLE sensor (
    id INTEGER PRIMARY KEY,
    site_id INTEGER NOT NULL REFERENCES site (id) ON DELETE CASCADE,
    label TEXT,
    value REAL NOT NULL DEFAULT 0
);

CREATE INDEX sensor_by_site ON sensor (site_id);

CREATE TABLE address (site_id INTEGER PRIMARY KEY, text TEXT NOT NULL);
