# Parsed, never built here. Owns the program with a product's migrations, and its unit, in an image.
################################################################################
#
# bootmigrate
#
################################################################################

BOOTMIGRATE_VERSION = 0.1.0
BOOTMIGRATE_SITE = $(BR2_EXTERNAL_BOOTMIGRATE_PATH)/../..
BOOTMIGRATE_SITE_METHOD = local
BOOTMIGRATE_LICENSE = MIT or Apache-2.0, SQLite blessing (bundled SQLite)
BOOTMIGRATE_LICENSE_FILES = LICENSE-MIT LICENSE-APACHE

BOOTMIGRATE_USER = $(call qstrip,$(BR2_PACKAGE_BOOTMIGRATE_USER))
BOOTMIGRATE_STATE = $(call qstrip,$(BR2_PACKAGE_BOOTMIGRATE_STATE))
BOOTMIGRATE_MIGRATIONS = $(call qstrip,$(BR2_PACKAGE_BOOTMIGRATE_MIGRATIONS))

# A local site is not vendored by the download step: the sources carry the crates, made once with `cargo vendor`.
# SQLite has the options that distributions have, and its times are 64 bits wide on 32 bits too, to live after January 2038.
BOOTMIGRATE_CARGO_ENV = LIBSQLITE3_FLAGS="-DSQLITE_ENABLE_MATH_FUNCTIONS -D_TIME_BITS=64 -D_FILE_OFFSET_BITS=64"
BOOTMIGRATE_CARGO_ENV += BOOTMIGRATE_MIGRATIONS=$(or $(BOOTMIGRATE_MIGRATIONS),/dev/null)
BOOTMIGRATE_CARGO_BUILD_OPTS = --package bootmigrate --bin bootmigrate

define BOOTMIGRATE_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(@D)/target/$(RUSTC_TARGET_NAME)/release/bootmigrate \
		$(TARGET_DIR)/usr/bin/bootmigrate
endef

define BOOTMIGRATE_OURS
	$(SED) 's|/var/lib/gateway|/var/lib/$(BOOTMIGRATE_STATE)|; s|^StateDirectory=gateway|StateDirectory=$(BOOTMIGRATE_STATE)|; s|^User=gateway|User=$(BOOTMIGRATE_USER)|; s|^Group=gateway|Group=$(BOOTMIGRATE_USER)|; s|gateway gateway|$(BOOTMIGRATE_USER) $(BOOTMIGRATE_USER)|' \
		$(TARGET_DIR)/usr/lib/systemd/system/bootmigrate.service \
		$(TARGET_DIR)/usr/lib/tmpfiles.d/bootmigrate.conf
endef

# Buildroot enables what its presets do not disable.
define BOOTMIGRATE_INSTALL_INIT_SYSTEMD
	$(INSTALL) -D -m 0644 $(@D)/packaging/systemd/bootmigrate.service \
		$(TARGET_DIR)/usr/lib/systemd/system/bootmigrate.service
	$(INSTALL) -D -m 0644 $(@D)/packaging/systemd/bootmigrate.tmpfiles \
		$(TARGET_DIR)/usr/lib/tmpfiles.d/bootmigrate.conf
	$(INSTALL) -D -m 0644 $(@D)/packaging/systemd/bootmigrate.preset \
		$(TARGET_DIR)/usr/lib/systemd/system-preset/80-bootmigrate.preset
	$(BOOTMIGRATE_OURS)
endef

define BOOTMIGRATE_INSTALL_INIT_SYSV
	$(INSTALL) -D -m 0755 $(@D)/packaging/sysv/S30bootmigrate \
		$(TARGET_DIR)/etc/init.d/S30bootmigrate
endef

define BOOTMIGRATE_USERS
	$(BOOTMIGRATE_USER) -1 $(BOOTMIGRATE_USER) -1 * /var/lib/$(BOOTMIGRATE_STATE) - - application
endef

$(eval $(cargo-package))
