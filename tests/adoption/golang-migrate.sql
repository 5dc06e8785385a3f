-- Written by hand as golang-migrate's documentation describes its table; the tool cannot be had where these files were made.
CREATE TABLE schema_migrations (version uint64, dirty bool);
CREATE UNIQUE INDEX version_unique ON schema_migrations (version);
INSERT INTO schema_migrations VALUES (30, 0);
