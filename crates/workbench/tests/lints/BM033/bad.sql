-- bootmigrate: no-transaction
-- bootmigrate: needs-space = 2.0
VACUUM;
