-- A sensor belongs to a site and goes with it.
CREATE TABLE site (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

CREATE TABLE sensor (
    id INTEGER PRIMARY KEY,
    site_id INTEGER NOT NULL REFERENCES site (id) ON DELETE CASCADE,
    address TEXT NOT NULL UNIQUE,
    label TEXT,
    kind TEXT
);
