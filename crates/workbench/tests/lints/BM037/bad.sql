CREATE TABLE preference (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
