ALTER TABLE site DROP COLUMN time_zone;
