"""A service that opens its database when bootmigrate has finished with it."""
