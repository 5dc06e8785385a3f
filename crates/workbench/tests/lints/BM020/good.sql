CREATE TABLE site_new (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE
);

INSERT INTO site_new (id, name)
SELECT id, min(name) FROM site GROUP BY name COLLATE NOCASE;

DROP TABLE site;
ALTER TABLE site_new RENAME TO site;

-- Who refers to it is made again, too.
ALTER TABLE room RENAME TO room_old;
ALTER TABLE door RENAME TO door_old;
CREATE TABLE room (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE);
INSERT INTO room (id, name) SELECT id, name FROM room_old;
CREATE TABLE door (id INTEGER PRIMARY KEY, room_id INTEGER REFERENCES room (id) ON DELETE SET NULL);
INSERT INTO door (id, room_id) SELECT id, room_id FROM door_old;
DROP TABLE door_old;
DROP TABLE room_old;
CREATE INDEX door_by_room ON door (room_id);
