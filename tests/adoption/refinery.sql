-- What refinery left after three migrations beside the product's tables; made by refinery 0.8.16 with scripts/adoption-fixtures.
CREATE TABLE refinery_schema_history(
             version INT4 PRIMARY KEY,
             name VARCHAR(255),
             applied_on VARCHAR(255),
             checksum VARCHAR(255));
INSERT INTO refinery_schema_history VALUES (10, 'parents', '2026-11-21T17:44:33.612569732Z', '5828379622516941417');
INSERT INTO refinery_schema_history VALUES (20, 'children', '2026-11-21T17:44:33.612606Z', '7182451584297994663');
INSERT INTO refinery_schema_history VALUES (30, 'look', '2026-11-21T17:44:33.612610378Z', '8824755975089904421');
