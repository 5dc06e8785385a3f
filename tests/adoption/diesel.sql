-- What diesel left after three migrations beside the product's tables; made by diesel_cli 2.3.14 with scripts/adoption-fixtures.
CREATE TABLE __diesel_schema_migrations (
       version VARCHAR(50) PRIMARY KEY NOT NULL,
       run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);
INSERT INTO __diesel_schema_migrations VALUES ('10', '2026-11-21 17:44:45');
INSERT INTO __diesel_schema_migrations VALUES ('20', '2026-11-21 17:44:45');
INSERT INTO __diesel_schema_migrations VALUES ('30', '2026-11-21 17:44:45');
