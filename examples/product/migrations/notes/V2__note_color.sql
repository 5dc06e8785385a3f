-- bootmigrate: compatible-from = 1
ALTER TABLE note ADD COLUMN color TEXT NOT NULL DEFAULT 'yellow';
