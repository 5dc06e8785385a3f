#!/bin/sh
# Owns greenboot's question: is every database usable by this deployment? Goes to /etc/greenboot/check/required.d/50_bootmigrate.sh.
# Promises: any other answer than 0 and 11 makes the boot red.
# Never changes anything.
code=0
"${BOOTMIGRATE:-/usr/bin/bootmigrate}" status --exit-code || code=$?
[ "$code" -eq 0 ] || [ "$code" -eq 11 ]
