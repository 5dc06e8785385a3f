PRAGMA case_sensitive_like = ON;
CREATE TABLE visit (id INTEGER PRIMARY KEY);
