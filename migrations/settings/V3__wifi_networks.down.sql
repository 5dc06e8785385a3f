DROP TABLE wifi_network;
