#!/bin/sh
# Owns a rehearsal at install time, by SWUpdate: a `shellscript` in sw-description, called with `postinst` after the images.
# Promises: where the migration would fail, the update fails, and the bootloader is not switched.
# Never stops an application, never touches a live database.
#
# SLOT_DEVICE is the device that the image was written to; a product with A/B knows it from its sw-description collection.
set -eu
[ "${1:-postinst}" = postinst ] || exit 0

data=${BOOTMIGRATE_DATA:-/var/lib/gateway}
slot=$(mktemp -d)
mount -o ro "${SLOT_DEVICE:?the slot that was written}" "$slot"
mount --bind "$data" "$slot$data"
code=0
chroot "$slot" /usr/bin/bootmigrate rehearse || code=$?
umount "$slot$data"
umount "$slot"
rmdir "$slot"
[ "$code" -eq 0 ] || [ "$code" -eq 11 ]
