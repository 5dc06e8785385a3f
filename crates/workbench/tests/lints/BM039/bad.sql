-- bootmigrate: compatible-from = 1
ALTER TABLE sensor RENAME COLUMN label TO title;
CREATE TABLE visit (id INTEGER PRIMARY KEY);
