-- bootmigrate: compatible-from = 1
ALTER TABLE sensor ADD COLUMN title TEXT;
CREATE TABLE visit (id INTEGER PRIMARY KEY);
