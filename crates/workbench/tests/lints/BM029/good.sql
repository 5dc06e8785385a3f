ALTER TABLE site ADD COLUMN seen_at TEXT;
CREATE TRIGGER site_seen AFTER UPDATE OF name ON site
BEGIN
    UPDATE site SET seen_at = datetime('now') WHERE id = new.id;
END;
