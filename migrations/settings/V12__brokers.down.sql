DROP TABLE broker;
