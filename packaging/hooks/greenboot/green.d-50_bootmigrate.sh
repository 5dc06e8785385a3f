#!/bin/sh
# Owns the word after a green boot: the snapshots for the way back may go. Goes to /etc/greenboot/green.d/50_bootmigrate.sh.
# Promises: a failure is said by its exit code; greenboot logs it.
# Never called after a red boot.
exec "${BOOTMIGRATE:-/usr/bin/bootmigrate}" mark-good
