CREATE TABLE visit (
    id INTEGER PRIMARY KEY,
    nаme TEXT
);
