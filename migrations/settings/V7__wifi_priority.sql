-- bootmigrate: compatible-from = 6
-- Firmware that does not know the column leaves it at its default.
ALTER TABLE wifi_network ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
