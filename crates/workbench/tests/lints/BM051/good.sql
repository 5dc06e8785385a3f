CREATE VIEW labelled AS
SELECT id, label, count(*) AS number FROM sensor WHERE label IS NOT NULL GROUP BY id, label;
