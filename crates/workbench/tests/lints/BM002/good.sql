-- bootmigrate: foreign-keys = enforced
DELETE FROM site WHERE name = 'unknown';
