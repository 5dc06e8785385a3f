-- What rusqlite_migration left after three migrations beside the product's tables; made by rusqlite_migration 1.2.0 with scripts/adoption-fixtures.
PRAGMA user_version = 3;
