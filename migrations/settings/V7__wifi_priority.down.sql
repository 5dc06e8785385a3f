ALTER TABLE wifi_network DROP COLUMN priority;
