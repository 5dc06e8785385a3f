-- bootmigrate: no-transaction
-- bootmigrate: needs-space = 2.0
-- bootmigrate: allow = BM033 because the page size changes once, and the table is small
PRAGMA page_size = 8192;
VACUUM;
