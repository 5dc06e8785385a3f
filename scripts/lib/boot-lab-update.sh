# shellcheck shell=bash
# shellcheck disable=SC2154 # lab and work come from the caller
# Owns what a real update agent makes of the hook that is shipped for it: RAUC writes a slot, and its program rehearses there.
# Promises: an update whose migrations pass is installed, one whose migrations fail on this device's rows is refused, and either way
#   no byte of a live database has changed.
# Never leaves RAUC's service, a mount or a key behind.
#
# setup.sh is read before; the caller's name space keeps the mounts to itself.

# Looks until RAUC's service answers, a tenth of a second each.
readonly UPDATE_LOOKS_MAX=100
# What a device's slots are called, and how large they are here.
readonly UPDATE_COMPATIBLE=bootlab UPDATE_SLOT_SIZE=32M

update_folder=""
update_processes=()

update_configured() { rauc --conf="$update_folder/system.conf" "$@"; }

# update_bundle PROGRAM: two slots, and a signed bundle whose root file system is this program, its libraries and the hook.
update_bundle() {
    local program=$1 tree="$update_folder/tree" content="$update_folder/content" library
    mkdir -p "$tree"/{proc,run,tmp,etc,usr/bin,var/lib/gateway} "$content" "$update_folder/mnt"
    install "$program" "$tree/usr/bin/bootmigrate"
    for library in $(ldd "$program" | grep -oE '/[^ ]+'); do install -D "$library" "$tree$library"; done
    truncate -s "$UPDATE_SLOT_SIZE" "$content/rootfs.ext4" "$update_folder"/slot-{a,b}
    mkfs.ext4 -q -d "$tree" "$content/rootfs.ext4"
    install packaging/hooks/rauc/slot-hook "$content/slot-hook"
    printf '[update]\ncompatible=%s\nversion=2\n\n[hooks]\nfilename=slot-hook\n\n[image.rootfs]\nfilename=rootfs.ext4\nhooks=post-install\n' \
        "$UPDATE_COMPATIBLE" >"$content/manifest.raucm"
    {
        printf '[system]\ncompatible=%s\nbootloader=noop\nstatusfile=%s\n\n[keyring]\npath=%s\n' \
            "$UPDATE_COMPATIBLE" "$update_folder/status" "$update_folder/certificate.pem"
        printf '\n[slot.rootfs.0]\ndevice=%s\ntype=ext4\nbootname=A\n' "$update_folder/slot-a"
        printf '\n[slot.rootfs.1]\ndevice=%s\ntype=ext4\nbootname=B\n' "$update_folder/slot-b"
    } >"$update_folder/system.conf"
    openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=bootlab -days 1 -keyout "$update_folder/key.pem" -out "$update_folder/certificate.pem" 2>/dev/null
    update_configured bundle --cert="$update_folder/certificate.pem" --key="$update_folder/key.pem" "$content" "$update_folder/bundle.raucb" >/dev/null 2>&1
}

# RAUC's service, as if slot A had booted, on a bus of its own.
update_serves() {
    local look bus="$update_folder/bus"
    dbus-daemon --session --nofork --nopidfile --address="unix:path=$bus" 2>/dev/null &
    update_processes+=($!)
    for look in $(seq "$UPDATE_LOOKS_MAX"); do
        [ ! -S "$bus" ] || break
        sleep 0.1
    done
    export DBUS_SESSION_BUS_ADDRESS="unix:path=$bus" DBUS_STARTER_BUS_TYPE=session
    update_configured --mount="$update_folder/mnt" --override-boot-slot=A service >"$update_folder/service.log" 2>&1 &
    update_processes+=($!)
    for look in $(seq "$UPDATE_LOOKS_MAX"); do
        if update_configured status >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    cat "$update_folder/service.log"
    echo "RAUC's service does not answer after $look looks"
    return 1
}

# update_ends SENTENCE EXIT: the bundle is installed, or refused, and nothing live has changed.
update_ends() {
    local sentence=$1 wanted=$2 code=0
    sha256sum /var/lib/gateway/*.db >"$update_folder/before"
    update_configured install "$update_folder/bundle.raucb" >"$update_folder/said" 2>&1 || code=$?
    sha256sum /var/lib/gateway/*.db >"$update_folder/after"
    [ "$code" -eq "$wanted" ] || { cat "$update_folder/said" "$update_folder/service.log"; echo "$sentence: RAUC exits $code, and should $wanted"; return 1; }
    diff "$update_folder/before" "$update_folder/after" || { echo "$sentence: a live database has changed"; return 1; }
    # What the hook has mounted would keep the slot busy.
    ! grep -q "$update_folder/mnt" /proc/self/mountinfo || { echo "$sentence: a mount was left"; return 1; }
    echo "    $sentence: RAUC exits $code"
    grep -aE '^settings: ' "$update_folder/service.log" | tail -n 1 | sed 's/^/        /'
}

# update_checks WORLD: on a device with these databases.
update_checks() {
    update_folder="$work/update"
    mkdir -p "$update_folder"
    local made=no
    [ -d /var/lib/gateway ] || { mkdir -p /var/lib/gateway; made=yes; }
    mount -o loop "$1" /var/lib/gateway
    # shellcheck disable=SC2064 # as it is now
    trap "update_released $made" EXIT
    # A damaged file has its cure at the boot, and nothing to rehearse.
    rm -rf /var/lib/gateway/identity.db /var/lib/gateway/.bootmigrate/identity.db
    # The device runs: its applications have settled what the cut of this world left.
    local database
    for database in /var/lib/gateway/*.db; do sqlite3 "$database" 'SELECT count(*) FROM sqlite_schema' >/dev/null; done
    update_bundle "$lab/bootmigrate"
    update_serves
    update_ends "An update whose migrations pass is installed" 0
    sqlite3 /var/lib/gateway/settings.db 'CREATE TABLE preference (taken)'
    update_ends "One whose migration finds its table taken is refused" 1
    echo "| RAUC and the hook that is shipped for it: installed, refused | 2 | 0 | - |"
}

update_released() {
    kill "${update_processes[@]}" 2>/dev/null || true
    wait "${update_processes[@]}" 2>/dev/null || true
    umount /var/lib/gateway
    [ "$1" = no ] || rmdir /var/lib/gateway
}
