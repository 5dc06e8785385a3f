ALTER TABLE sensor RENAME TO reading;
