-- bootmigrate: no-transaction
-- bootmigrate: needs-space = 2.5
-- bootmigrate: allow = BM033 because the page size changes
PRAGMA page_size = 8192;
VACUUM;
