-- Written by hand as Ecto's documentation describes its table; the tool cannot be had where these files were made.
CREATE TABLE "schema_migrations" ("version" INTEGER PRIMARY KEY, "inserted_at" TEXT);
INSERT INTO schema_migrations VALUES (10, '2024-05-01T10:00:00');
INSERT INTO schema_migrations VALUES (20, '2024-05-01T10:00:00');
INSERT INTO schema_migrations VALUES (30, '2024-05-02T08:30:00');
