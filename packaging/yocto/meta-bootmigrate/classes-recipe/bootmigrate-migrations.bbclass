# Parsed by a linter, never built here. Packs a product's folder of migrations for the stock binary, with the native workbench.
#
# In a recipe of the product's own:
#   SRC_URI = "file://migrations"
#   S = "${BOOTMIGRATE_UNPACKDIR}"
#   inherit bootmigrate-migrations
# The image gets /usr/lib/bootmigrate/${PN}.catalogue; a folder that the build would refuse stops the recipe with its sentences. One recipe
# of an image may inherit it: the program refuses two catalogues.

# scarthgap unpacks into WORKDIR itself, and knows no other folder.
BOOTMIGRATE_UNPACKDIR = "${@d.getVar('UNPACKDIR') or d.getVar('WORKDIR')}"
BOOTMIGRATE_MIGRATIONS ??= "${BOOTMIGRATE_UNPACKDIR}/migrations"

DEPENDS += "bootmigrate-workbench-native"

FILES:${PN} += "${nonarch_libdir}/bootmigrate"
RDEPENDS:${PN} += "bootmigrate"

do_compile:append() {
    bootmigrate-workbench --migrations "${BOOTMIGRATE_MIGRATIONS}" pack --output "${B}/${PN}.catalogue"
}

do_install:append() {
    install -d ${D}${nonarch_libdir}/bootmigrate
    install -m 0644 "${B}/${PN}.catalogue" ${D}${nonarch_libdir}/bootmigrate/
}
