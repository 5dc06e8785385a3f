PRAGMA application_id = 7;
CREATE TABLE visit (id INTEGER PRIMARY KEY);
