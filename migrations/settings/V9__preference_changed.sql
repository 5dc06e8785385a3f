-- bootmigrate: compatible-from = 6
-- The application forgot the time of a change once too often.
CREATE TRIGGER preference_changed AFTER UPDATE OF value ON preference
WHEN old.value IS NOT new.value
BEGIN
    UPDATE preference
    SET changed_at = CASE WHEN new.changed_at = old.changed_at THEN strftime('%Y-%m-%dT%H:%M:%SZ', 'now') ELSE new.changed_at END
    WHERE name = new.name;
END;
