# Parsed by a linter, never built here. Owns the program with a product's migrations, and its unit, in an image.
#
# A product says, in its distribution's configuration or in a .bbappend:
#   BOOTMIGRATE_GIT          where its copy of the sources is, and SRCREV
#   BOOTMIGRATE_MIGRATIONS   the folder with bootmigrate.toml, fetched by SRC_URI:append = " file://migrations";
#                            without it nothing is embedded, and a recipe with the class bootmigrate-migrations brings the packed catalogue
#   BOOTMIGRATE_USER, BOOTMIGRATE_STATE   the application's user, and its folder below /var/lib
# The list of crates is not in the layer: packaging/yocto/crates-list writes it, and then `bitbake -c update_crates bootmigrate`.

SUMMARY = "SQLite schema migrations at boot, before the application starts"
DESCRIPTION = "Brings the SQLite databases of a headless device to the schema that its firmware expects, old or new at every power cut"
HOMEPAGE = "https://git.example.com/bootmigrate"
BUGTRACKER = "https://git.example.com/bootmigrate/issues"
SECTION = "base"
LICENSE = "MIT | Apache-2.0"
LIC_FILES_CHKSUM = "\
    file://LICENSE-APACHE;md5=3b83ef96387f14655fc854ddc3c6bd57 \
    file://LICENSE-MIT;md5=8a0759c0bbd3dac725b0736029621297 \
"
CVE_PRODUCT = "bootmigrate sqlite:sqlite"

PV = "0.1.0+git"

BOOTMIGRATE_GIT ?= "git://git.example.com/bootmigrate.git;protocol=https;branch=main"
# Where S is in every release; before walnascar git's own folder was another.
SRC_URI = "${BOOTMIGRATE_GIT};destsuffix=${BP}"
SRCREV ?= "0000000000000000000000000000000000000000"

require ${BPN}-crates.inc

inherit cargo cargo-update-recipe-crates systemd useradd

# scarthgap unpacks into WORKDIR itself, and knows no other folder.
BOOTMIGRATE_UNPACKDIR = "${@d.getVar('UNPACKDIR') or d.getVar('WORKDIR')}"
BOOTMIGRATE_MIGRATIONS ?= "/dev/null"
BOOTMIGRATE_USER ?= "gateway"
BOOTMIGRATE_STATE ?= "gateway"

# SQLite is compiled by the build, with the options that distributions have; on 32 bits its times must be 64 bits wide to live after
# January 2038.
export LIBSQLITE3_FLAGS = "-DSQLITE_ENABLE_MATH_FUNCTIONS -D_TIME_BITS=64 -D_FILE_OFFSET_BITS=64"
export BOOTMIGRATE_MIGRATIONS
# The image's own tools strip it, and keep what they took away.
export CARGO_PROFILE_RELEASE_STRIP = "false"
# The lab in the same workspace is for the firmware team's machines, not for the image.
CARGO_BUILD_FLAGS += "--package bootmigrate --bin bootmigrate"

SYSTEMD_SERVICE:${PN} = "bootmigrate.service"
SYSTEMD_AUTO_ENABLE:${PN} = "enable"

USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--system ${BOOTMIGRATE_USER}"
USERADD_PARAM:${PN} = "--system --gid ${BOOTMIGRATE_USER} --home-dir ${localstatedir}/lib/${BOOTMIGRATE_STATE} --no-create-home --shell /sbin/nologin ${BOOTMIGRATE_USER}"

do_install:append() {
    install -d ${D}${systemd_system_unitdir} ${D}${nonarch_libdir}/tmpfiles.d
    install -m 0644 ${S}/packaging/systemd/bootmigrate.service ${D}${systemd_system_unitdir}/
    install -m 0644 ${S}/packaging/systemd/bootmigrate.tmpfiles ${D}${nonarch_libdir}/tmpfiles.d/bootmigrate.conf
    sed -i \
        -e 's|/var/lib/gateway|${localstatedir}/lib/${BOOTMIGRATE_STATE}|' \
        -e 's|^StateDirectory=gateway|StateDirectory=${BOOTMIGRATE_STATE}|' \
        -e 's|^User=gateway|User=${BOOTMIGRATE_USER}|' \
        -e 's|^Group=gateway|Group=${BOOTMIGRATE_USER}|' \
        ${D}${systemd_system_unitdir}/bootmigrate.service
    sed -i -e 's|gateway gateway|${BOOTMIGRATE_USER} ${BOOTMIGRATE_USER}|' ${D}${nonarch_libdir}/tmpfiles.d/bootmigrate.conf
}

FILES:${PN} += "${nonarch_libdir}/tmpfiles.d"
