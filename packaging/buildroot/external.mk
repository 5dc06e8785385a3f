# Parsed, never built here. Owns the packages of the external tree.
include $(sort $(wildcard $(BR2_EXTERNAL_BOOTMIGRATE_PATH)/package/*/*.mk))
