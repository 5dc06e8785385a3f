ALTER TABLE site ADD COLUMN seen_at TEXT;
ALTER TABLE site ADD COLUMN secret BLOB;
UPDATE site SET seen_at = datetime('now'), secret = randomblob(16) WHERE seen_at IS NULL;
