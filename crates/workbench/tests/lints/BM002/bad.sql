DELETE FROM site WHERE name = 'unknown';
