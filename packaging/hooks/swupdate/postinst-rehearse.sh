#!/bin/sh
# Owns a rehearsal at install time, by SWUpdate: a `shellscript` in sw-description, called with `postinst` after the images.
# Promises: where the migration would fail, the update fails, and the bootloader is not switched; what it has mounted goes
#   again, however it ends.
# Never stops an application, never touches a live database.
#
# In sw-description, in the collection of each slot; `data` is the device that the image is written to, and comes as the last word:
#   scripts: ( { filename = "postinst-rehearse.sh"; type = "shellscript"; data = "/dev/mmcblk0p3"; } );
set -eu
[ "$1" = postinst ] || exit 0

device=${2:?the device of the slot, from data= in sw-description}
slot=$(mktemp -d)
mounted=""
release() {
    for place in $mounted; do umount "$place"; done
    rmdir "$slot"
}
trap release EXIT

mount -o ro "$device" "$slot"
mounted=$slot
# The table of mounts is in /proc: without it no data partition is found.
for folder in /proc /run "${BOOTMIGRATE_DATA:-/var/lib/gateway}"; do
    mount --bind "$folder" "$slot$folder"
    mounted="$slot$folder $mounted"
done
code=0
chroot "$slot" /usr/bin/bootmigrate rehearse || code=$?
[ "$code" -eq 0 ] || [ "$code" -eq 11 ]
