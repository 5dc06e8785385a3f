-- bootmigrate: compatible-from = 10
ALTER TABLE site ADD COLUMN time_zone TEXT NOT NULL DEFAULT 'Etc/UTC';
