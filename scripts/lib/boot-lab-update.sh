# shellcheck shell=bash
# shellcheck disable=SC2154 # lab and work come from the caller
# Owns what real update agents make of the hooks that are shipped for them: RAUC and SWUpdate write a slot, and its program rehearses
#   there; Mender asks before it commits, greenboot before a boot is good.
# Promises: an update whose migrations pass is installed, one whose migrations fail on this device's rows is refused, each with the
#   program's own sentence, and either way no byte of the device has changed; a slot that is not committed is rolled back, and a
#   boot is good after its run alone.
# Never lets a package start a service on this machine, and never leaves a service, a mount, a folder or a key behind.
#
# setup.sh is read before; the caller's name space keeps the mounts to itself.

# Looks until RAUC's service answers, a tenth of a second each.
readonly UPDATE_LOOKS_MAX=100
# What the device is called, and how large its slots are here.
readonly UPDATE_COMPATIBLE=bootlab UPDATE_SLOT_SIZE=32M
# Of the crates' registry, where its makers publish it: no distribution of ours has it.
readonly UPDATE_GREENBOOT_VERSION=0.0.1
# Seconds: it is compiled, or its registry does not answer.
readonly UPDATE_GREENBOOT_LIMIT_S=900

update_folder=""
update_here=yes
update_changes=""
update_processes=()
update_made=()
update_mounted=()

# update_has PACKAGE PROGRAM: the program out of the package is in $lab/agents, with the libraries that it needs; else update_here is no.
update_has() {
    local package=$1 program="$lab/agents/usr/bin/$2"
    [ ! -x "$program" ] || return 0
    [ -n "$(candidate "$package")" ] || apt_update
    if [ -z "$(candidate "$package")" ]; then
        echo "    cannot: update: this distribution has no package $package, so its agent is not asked"
        update_here=no
        return
    fi
    # shellcheck disable=SC2046 # names of packages
    need_packages $(apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces "$package" | sed -nE 's/^  Depends: (lib[a-z0-9.+-]+)$/\1/p')
    rm -rf "$lab/agents/packages"
    mkdir -p "$lab/agents/packages"
    (
        cd "$lab/agents/packages" || exit 1
        retry_mirror apt-get -qq -o APT::Sandbox::User=root download "$package"
        dpkg -x ./*.deb "$lab/agents"
    )
    if [ ! -x "$program" ]; then
        echo "    cannot: update: this distribution's $package has no $2, so its agent is not asked"
        update_here=no
    fi
}

# update_place WORD… FOLDER: with these words of mount's, something is there; the folder goes again if we made it.
update_place() {
    local folder=${*: -1}
    [ -d "$folder" ] || { mkdir -p "$folder"; update_made+=("$folder"); }
    mount "$@"
    update_mounted=("$folder" "${update_mounted[@]}")
}

# /etc is a copy from now on, which goes with this method, however it ends.
update_private_etc() {
    cp -a /etc "$update_folder/etc"
    update_place --bind "$update_folder/etc" /etc
}

# Every file of the device, with its sum, but the lock and what may change.
update_sums() { find "$update_home" -type f ! -name lock ! -name "$update_changes" -exec sha256sum {} + | sort; }

# update_ends SENTENCE EXIT WORDS COMMAND…: so the agent ends, these words are among what it and the hook said, and nothing live has changed.
update_ends() {
    local sentence=$1 wanted=$2 words=$3 code=0 heard
    shift 3
    heard=$(update_heard | wc -l)
    update_sums >"$update_folder/before"
    "$@" >"$update_folder/said" 2>&1 || code=$?
    update_sums >"$update_folder/after"
    { cat "$update_folder/said"; update_heard | tail -n "+$((heard + 1))"; } >"$update_folder/all"
    [ "$code" -eq "$wanted" ] || { cat "$update_folder/all"; echo "$sentence: $1 exits $code, and should $wanted"; return 1; }
    diff "$update_folder/before" "$update_folder/after" || { echo "$sentence: the live device has changed"; return 1; }
    # What a hook has mounted would keep the slot busy.
    [ "$(grep -c . /proc/self/mountinfo)" -eq "$update_mounts" ] || { cat /proc/self/mountinfo; echo "$sentence: a mount was left"; return 1; }
    grep -aE "$words" "$update_folder/all" >"$update_folder/found" || { cat "$update_folder/all"; echo "$sentence: nobody said $words"; return 1; }
    echo "    $sentence: exit $code"
    grep -aoE '(settings|identity): .*' "$update_folder/found" | cut -c 1-160 | sed 's/^/        /' || true
}

# What an agent's service has said so far.
update_heard() { cat "$update_folder/service.log" 2>/dev/null || true; }

# update_device PARTITION: the data partition is where the device has it. Its applications have recovered what the cut of this one left;
# of the damaged one they can make nothing.
update_device() {
    local database
    cp "$1" "$update_folder/data.img"
    update_place -o loop "$update_folder/data.img" /var/lib/gateway
    for database in /var/lib/gateway/*.db; do
        [ "$database" = /var/lib/gateway/identity.db ] || sqlite3 "$database" 'SELECT count(*) FROM sqlite_schema' >/dev/null
    done
    update_home=/var/lib/gateway
    update_mounts=$(grep -c . /proc/self/mountinfo)
}

# What the program says where its migrations pass, the damaged database's too, and where one does not.
readonly UPDATE_PASSES='identity: restored from a snapshot and migrated to 2' UPDATE_FAILS='settings/V3__preferences.sql:1:14: table preference already exists'

# What the application wrote makes the release's migration fail.
update_taken() { sqlite3 "$update_home/settings.db" 'CREATE TABLE preference (taken)'; }

# update_slot PROGRAM: the root file system of a slot, and the two slots.
update_slot() {
    local program=$1 tree="$update_folder/tree" library
    mkdir -p "$tree"/{proc,run,tmp,etc,usr/bin,var/lib/gateway} "$update_folder/content"
    install "$program" "$tree/usr/bin/bootmigrate"
    for library in $(ldd "$program" | grep -oE '/[^ ]+'); do install -D "$library" "$tree$library"; done
    truncate -s "$UPDATE_SLOT_SIZE" "$update_folder/content/rootfs.ext4" "$update_folder"/slot-{a,b}
    mkfs.ext4 -q -d "$tree" "$update_folder/content/rootfs.ext4"
    openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=bootlab -addext extendedKeyUsage=emailProtection -days 1 \
        -keyout "$update_folder/key.pem" -out "$update_folder/certificate.pem" 2>/dev/null
}

update_rauc() { rauc --conf="$update_folder/system.conf" "$@"; }

# A signed bundle with the hook, and the device's slots.
update_rauc_bundle() {
    local content="$update_folder/content"
    install packaging/hooks/rauc/slot-hook "$content/slot-hook"
    printf '[update]\ncompatible=%s\nversion=2\n\n[hooks]\nfilename=slot-hook\n\n[image.rootfs]\nfilename=rootfs.ext4\nhooks=post-install\n' \
        "$UPDATE_COMPATIBLE" >"$content/manifest.raucm"
    {
        printf '[system]\ncompatible=%s\nbootloader=noop\nstatusfile=%s\n\n[keyring]\npath=%s\n' \
            "$UPDATE_COMPATIBLE" "$update_folder/status" "$update_folder/certificate.pem"
        printf '\n[slot.rootfs.0]\ndevice=%s\ntype=ext4\nbootname=A\n' "$update_folder/slot-a"
        printf '\n[slot.rootfs.1]\ndevice=%s\ntype=ext4\nbootname=B\n' "$update_folder/slot-b"
    } >"$update_folder/system.conf"
    update_rauc bundle --cert="$update_folder/certificate.pem" --key="$update_folder/key.pem" "$content" "$update_folder/bundle.raucb" >/dev/null 2>&1
}

# RAUC's service, as if slot A had booted, on a bus of its own.
update_rauc_serves() {
    local look bus="$update_folder/bus"
    dbus-daemon --session --nofork --nopidfile --address="unix:path=$bus" 2>/dev/null &
    update_processes+=($!)
    for look in $(seq "$UPDATE_LOOKS_MAX"); do
        [ ! -S "$bus" ] || break
        sleep 0.1
    done
    export DBUS_SESSION_BUS_ADDRESS="unix:path=$bus" DBUS_STARTER_BUS_TYPE=session
    update_rauc --mount="$update_folder/mnt" --override-boot-slot=A service >"$update_folder/service.log" 2>&1 &
    update_processes+=($!)
    for look in $(seq "$UPDATE_LOOKS_MAX"); do
        if update_rauc status >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    cat "$update_folder/service.log"
    echo "RAUC's service does not answer after $look looks"
    return 1
}

rauc_checks() {
    mkdir -p "$update_folder/mnt"
    update_rauc_bundle
    update_rauc_serves
    update_ends "RAUC installs an update whose migrations pass" 0 "$UPDATE_PASSES" update_rauc install "$update_folder/bundle.raucb"
    update_taken
    update_ends "RAUC refuses one whose migration finds its table taken" 1 "$UPDATE_FAILS" update_rauc install "$update_folder/bundle.raucb"
}

# A signed image with the hook as its script.
update_swu() {
    local content="$update_folder/content" hook=postinst-rehearse.sh
    install "packaging/hooks/swupdate/$hook" "$content/$hook"
    cat >"$content/sw-description" <<END
software = {
  version = "2";
  hardware-compatibility: [ "1.0" ];
  stable = { b = {
    images: ( { filename = "rootfs.ext4"; device = "$update_folder/slot-b"; sha256 = "$(sha256sum <"$content/rootfs.ext4" | cut -c 1-64)"; } );
    scripts: ( { filename = "$hook"; type = "shellscript"; data = "$update_folder/slot-b"; sha256 = "$(sha256sum <"$content/$hook" | cut -c 1-64)"; } );
  }; };
}
END
    (
        cd "$content" || exit 1
        openssl cms -sign -in sw-description -out sw-description.sig -signer ../certificate.pem -inkey ../key.pem -outform DER -nosmimecap -binary
        printf '%s\n' sw-description sw-description.sig rootfs.ext4 "$hook" | cpio --quiet -o -H crc >../update.swu
    )
}

update_swupdate() {
    # As a service it is started with an environment that says nothing of slots.
    env -i "PATH=$PATH" "TMPDIR=$update_folder" "$lab/agents/usr/bin/swupdate" --key "$update_folder/certificate.pem" --hwrevision "$UPDATE_COMPATIBLE:1.0" \
        --no-transaction-marker --no-state-marker --select stable,b --image "$update_folder/update.swu" --loglevel 4
}

swupdate_checks() {
    update_swu
    update_ends "SWUpdate installs an update whose migrations pass" 0 "$UPDATE_PASSES" update_swupdate
    update_taken
    update_ends "SWUpdate refuses one whose migration finds its table taken" 1 "$UPDATE_FAILS" update_swupdate
}

update_mender() {
    "$lab/agents/usr/bin/mender" --no-syslog --config "$update_folder/mender.conf" --fallback-config "$update_folder/none.conf" --data "$update_folder/mender" "$@"
}

# An artifact with the two state scripts, for an update module that can be rolled back; what is written is no root file system here.
update_artifact() {
    local modules=/usr/share/mender/modules/v3
    # It has no word for these folders in its command line.
    update_private_etc
    mkdir -p "$update_folder/share"
    update_place --bind "$update_folder/share" /usr/share/mender
    mkdir -p /etc/mender "$modules" "$update_folder/mender"
    cat >"$modules/bootlab" <<END
#!/bin/sh
case \$1 in
NeedsArtifactReboot) echo No ;;
SupportsRollback) echo Yes ;;
ArtifactInstall) cp "\$2"/files/release $update_folder/release ;;
ArtifactRollback) rm $update_folder/release ;;
esac
END
    chmod +x "$modules/bootlab"
    echo artifact_name=one >/etc/mender/artifact_info
    echo "device_type=$UPDATE_COMPATIBLE" >"$update_folder/device_type"
    echo "{\"DeviceTypeFile\": \"$update_folder/device_type\"}" >"$update_folder/mender.conf"
    echo two >"$update_folder/content/release"
    "$lab/agents/usr/bin/mender-artifact" write module-image --type bootlab --artifact-name two --device-type "$UPDATE_COMPATIBLE" --compression none \
        --file "$update_folder/content/release" --script packaging/hooks/mender/ArtifactCommit_Enter_50_bootmigrate \
        --script packaging/hooks/mender/ArtifactCommit_Leave_50_bootmigrate --output-path "$update_folder/update.mender" >/dev/null
}

# The device lies below a folder, so that the run writes nothing into this machine's /run; and each call of the program is noted.
update_below() {
    local root="$update_folder/root"
    mkdir -p "$root/var/lib"
    cp -a /var/lib/gateway "$root/var/lib/gateway"
    update_home="$root/var/lib/gateway"
    export BOOTMIGRATE="$update_folder/bootmigrate"
    printf '#!/bin/sh\necho "$*" >>%s/calls\nexec %s --root %s "$@"\n' "$update_folder" "$lab/bootmigrate" "$root" >"$BOOTMIGRATE"
    chmod +x "$BOOTMIGRATE"
}

# The boot's own run; what one of the databases is made of again is lost, so it ends with 11.
update_runs() {
    local code=0
    "$BOOTMIGRATE" run >"$update_folder/said" 2>&1 || code=$?
    [ "$code" -eq 11 ] || { cat "$update_folder/said"; echo "the run ends with $code, and should with 11"; return 1; }
    # The record keeps what mark-good said.
    update_changes=record
}

# update_called WORDS: the program's calls until now, each with a comma.
update_called() {
    [ "$(tr '\n' , <"$update_folder/calls")" = "$1" ] || { cat "$update_folder/calls"; echo "these are not the calls of the two hooks"; return 1; }
}

mender_checks() {
    update_below
    update_artifact
    update_mounts=$(grep -c . /proc/self/mountinfo)
    update_mender install "$update_folder/update.mender" >"$update_folder/said" 2>&1 || { cat "$update_folder/said"; return 1; }
    update_ends "Mender does not commit before the databases are migrated" 1 "ArtifactCommit_Enter_50_bootmigrate" update_mender commit
    [ ! -e "$update_folder/release" ] || { echo "Mender did not roll back"; return 1; }
    update_runs
    update_mender install "$update_folder/update.mender" >"$update_folder/said" 2>&1 || { cat "$update_folder/said"; return 1; }
    update_ends "Mender commits when they are" 0 "Committing Artifact" update_mender commit
    [ -e "$update_folder/release" ] || { echo "Mender rolled back"; return 1; }
    update_called "status --exit-code,run,status --exit-code,mark-good,"
    "$BOOTMIGRATE" status --format mender | grep -q '^bootmigrate_settings_version=' || { echo "the inventory has no version"; return 1; }
}

greenboot_home() { echo "$target/greenboot-$UPDATE_GREENBOOT_VERSION"; }

# greenboot_installed: as the user, before the name space: it is compiled.
greenboot_installed() {
    local home
    home=$(greenboot_home)
    [ ! -x "$home/bin/greenboot" ] || return 0
    echo "    installing greenboot $UPDATE_GREENBOOT_VERSION into $home"
    # It starts scripts: not worth an optimiser's time.
    CARGO_PROFILE_DEV_DEBUG=false timeout --kill-after=10 "$UPDATE_GREENBOOT_LIMIT_S" cargo install greenboot --quiet --debug --version "$UPDATE_GREENBOOT_VERSION" --locked --root "$home" ||
        echo "    greenboot $UPDATE_GREENBOOT_VERSION cannot be installed here"
}

# A boot's own file system for the bootloader's variables, the file of those included.
update_boot() {
    update_place -t tmpfs bootlab-boot /boot
    mkdir -p /boot/grub2
    "$lab/agents/usr/bin/grub-editenv" /boot/grub2/grubenv create
    update_mounts=$(grep -c . /proc/self/mountinfo)
}

# What greenboot-healthcheck.service does with the shipped drop-in.
update_greenboot() {
    PATH="$update_folder/bin:$PATH" "$(greenboot_home)/bin/greenboot" health-check || return
    [ "$(sed -n 's/^ExecStartPost=//p' packaging/hooks/greenboot/greenboot-mark-good.conf)" = "/usr/bin/bootmigrate mark-good" ] || return
    "$BOOTMIGRATE" mark-good
}

# update_variable NAME=VALUE: the bootloader's.
update_variable() {
    "$lab/agents/usr/bin/grub-editenv" /boot/grub2/grubenv list >"$update_folder/variables"
    grep -qx "$1" "$update_folder/variables" || { cat "$update_folder/variables"; echo "the bootloader has not $1"; return 1; }
}

greenboot_checks() {
    local folder
    update_below
    # It may start the machine again after a red boot. Not this one: nothing that could answer is there.
    for folder in /run/systemd /run/dbus /usr/lib/greenboot; do
        [ ! -d "$folder" ] || update_place -t tmpfs bootlab-nobody "$folder"
    done
    mkdir -p "$update_folder/bin"
    ln -s /bin/true "$update_folder/bin/systemctl"
    # Its name for the editor of the variables is another distribution's. What it is told to set is noted among the program's calls.
    # shellcheck disable=SC2016 # for the program that is written
    printf '#!/bin/sh\ncase "$2 $3" in "set boot_success"*) echo "$3" >>%s/calls ;; esac\nexec %s "$@"\n' \
        "$update_folder" "$lab/agents/usr/bin/grub-editenv" >"$update_folder/bin/grub2-editenv"
    chmod +x "$update_folder/bin/grub2-editenv"
    update_private_etc
    mkdir -p /etc/motd.d /etc/greenboot/check/required.d
    install packaging/hooks/greenboot/required.d-50_bootmigrate.sh /etc/greenboot/check/required.d/50_bootmigrate.sh
    update_boot
    update_ends "greenboot calls a boot red whose databases are not migrated" 1 "required script .*50_bootmigrate.sh failed" update_greenboot
    update_variable boot_success=0
    update_runs
    update_boot
    update_ends "greenboot calls it green when they are" 0 "required script .*50_bootmigrate.sh success" update_greenboot
    update_variable boot_success=1
    update_called "status --exit-code,boot_success=0,run,status --exit-code,boot_success=1,mark-good,"
}

# update_checks AGENT PARTITION: on a device with these databases.
update_checks() {
    case $1 in
    swupdate) update_has swupdate swupdate ;;
    mender)
        update_has mender-client mender
        update_has mender-artifact mender-artifact
        ;;
    greenboot)
        if [ -x "$(greenboot_home)/bin/greenboot" ]; then
            update_has grub-common grub-editenv
        else
            echo "    cannot: update: greenboot $UPDATE_GREENBOOT_VERSION could not be installed, so it is not asked"
            update_here=no
        fi
        ;;
    esac
    [ "$update_here" = yes ] || return 0
    update_folder="$work/update-$1"
    mkdir -p "$update_folder"
    trap update_released EXIT
    update_device "$2"
    update_slot "$lab/bootmigrate"
    "$1_checks"
    echo "| $1 and the hooks that are shipped for it: a yes, a no | 2 | 0 | - |"
}

update_released() {
    local folder
    kill "${update_processes[@]}" 2>/dev/null || true
    wait "${update_processes[@]}" 2>/dev/null || true
    for folder in "${update_mounted[@]}"; do umount "$folder" || true; done
    for folder in "${update_made[@]}"; do rmdir "$folder" || true; done
}
