-- bootmigrate: allow = BM024 because the table has ten rows
-- bootmigrate: allow = BM999 because of a slip
UPDATE sensor SET value = 0 WHERE value < 0;
