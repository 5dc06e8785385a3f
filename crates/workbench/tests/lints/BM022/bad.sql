DROP TABLE sensor;
