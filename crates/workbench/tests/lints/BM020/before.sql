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

CREATE TABLE room (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE door (id INTEGER PRIMARY KEY, room_id INTEGER REFERENCES room (id));
CREATE INDEX door_by_room ON door (room_id);
