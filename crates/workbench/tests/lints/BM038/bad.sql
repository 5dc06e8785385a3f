CREATE TABLE visit (
    id INT PRIMARY KEY,
    note TEXT
);
