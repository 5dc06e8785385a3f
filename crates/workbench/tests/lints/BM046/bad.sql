CREATE TABLE reading AS
SELECT id, value FROM sensor;
