DROP TRIGGER sample_retention;
