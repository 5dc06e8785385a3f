-- bootmigrate: irreversible
-- bootmigrate: compatible-from = 10
-- bootmigrate: expect = SELECT value FROM preference WHERE name = 'language' AND value LIKE '%\_%' ESCAPE '\'
-- The interface wants `en-GB`, and has always understood both.
UPDATE preference SET value = replace(value, '_', '-') WHERE name = 'language';
