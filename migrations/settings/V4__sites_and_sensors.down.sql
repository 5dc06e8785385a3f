DROP TABLE sensor;
DROP TABLE site;
