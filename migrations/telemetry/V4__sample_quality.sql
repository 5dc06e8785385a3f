-- bootmigrate: compatible-from = 3
-- 0 is unknown, 1 good, 2 doubtful; `data/V1__old_sample_quality.sql` fills it in for old values.
ALTER TABLE sample ADD COLUMN quality INTEGER NOT NULL DEFAULT 0 CHECK (quality IN (0, 1, 2));
