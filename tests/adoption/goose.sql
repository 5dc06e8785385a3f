-- Written by hand as goose's documentation describes its table; the tool cannot be had where these files were made.
CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')));
INSERT INTO goose_db_version VALUES (1, 0, 1, '2024-05-01 10:00:00');
INSERT INTO goose_db_version VALUES (2, 10, 1, '2024-05-01 10:00:00');
INSERT INTO goose_db_version VALUES (3, 20, 1, '2024-05-01 10:00:00');
INSERT INTO goose_db_version VALUES (4, 30, 1, '2024-05-01 10:00:00');
INSERT INTO goose_db_version VALUES (5, 40, 1, '2024-05-02 08:30:00');
INSERT INTO goose_db_version VALUES (6, 40, 0, '2024-05-02 08:31:00');
