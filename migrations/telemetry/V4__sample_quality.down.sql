ALTER TABLE sample DROP COLUMN quality;
