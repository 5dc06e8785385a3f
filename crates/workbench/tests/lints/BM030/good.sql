UPDATE "sensor" SET "label" = 'none' WHERE "label" IS NULL;
