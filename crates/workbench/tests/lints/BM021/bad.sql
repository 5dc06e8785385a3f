PRAGMA legacy_alter_table = ON;
ALTER TABLE sensor RENAME TO reading;
