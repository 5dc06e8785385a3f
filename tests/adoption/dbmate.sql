-- What dbmate left after three migrations beside the product's tables; made by dbmate version 2.36.0 with scripts/adoption-fixtures.
CREATE TABLE "schema_migrations" (version varchar(128) primary key);
INSERT INTO schema_migrations VALUES ('10');
INSERT INTO schema_migrations VALUES ('20');
INSERT INTO schema_migrations VALUES ('30');
