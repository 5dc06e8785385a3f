# Parsed by a linter, never built here. Owns the team's program on the build machine; the class bootmigrate-migrations calls it.
# The list of crates is that of bootmigrate: packaging/yocto/crates-list writes it for this recipe too.

SUMMARY = "New migrations, lints, checks and rehearsals for bootmigrate"
DESCRIPTION = "Packs a folder of SQLite migrations for the stock binary, and checks it; for the build machine, never in an image"
HOMEPAGE = "https://git.example.com/bootmigrate"
BUGTRACKER = "https://git.example.com/bootmigrate/issues"
SECTION = "devel"
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

inherit cargo cargo-update-recipe-crates

export LIBSQLITE3_FLAGS = "-DSQLITE_ENABLE_MATH_FUNCTIONS"
CARGO_BUILD_FLAGS += "--package bootmigrate-workbench --bin bootmigrate-workbench"

BBCLASSEXTEND = "native"
