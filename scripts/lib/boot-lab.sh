# shellcheck shell=bash
# shellcheck disable=SC2154 # lab comes from the caller
# Owns the parts of the boot lab's machines: packages, kernels, the small initramfs, the root file systems.
# Promises: all of it lies in target/boot-lab and is made once; a mirror that does not answer is asked again.
# Never adds an architecture to this machine's package manager, and never registers a foreign processor with the kernel.
#
# setup.sh is read before; `lab` is the folder for all of it.

# The distribution of the device's images.
readonly LAB_SUITE=bookworm
readonly LAB_ROOT_PACKAGES=systemd,systemd-sysv,dbus,udev,kmod,sqlite3,e2fsprogs,util-linux,procps

# What the lab needs of this machine.
lab_packages() {
    need_packages e2fsprogs util-linux mount strace cpio kmod zstd busybox-static squashfs-tools mmdebstrap systemd-container \
        debian-archive-keyring rauc dbus openssl sqlite3
    if command -v qemu-system-aarch64 >/dev/null && command -v qemu-system-arm >/dev/null; then return; fi
    apt_update
    local version package all=()
    version=$(candidate qemu-system-arm)
    [ -n "$version" ] || fail "this distribution has no qemu-system-arm"
    # A qemu-utils from elsewhere (backports) breaks these, so all of qemu that is here becomes of one version.
    for package in qemu-system-arm qemu-system-common qemu-utils qemu-system-x86 qemu-system-gui qemu-system-data; do
        case $package in qemu-system-arm | qemu-system-common) ;; *) is_installed "$package" || continue ;; esac
        all+=("$package=$version")
    done
    echo "    installing ${all[*]}"
    retry_mirror as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
        -o DPkg::Lock::Timeout="$PACKAGES_LOCKED_S" install --yes --no-install-recommends --allow-downgrades "${all[@]}" >/dev/null
}

# The mirror that this machine uses already.
lab_mirror() {
    # shellcheck disable=SC2016 # the words of apt
    apt-get indextargets --format '$(REPO_URI)|$(RELEASE)' 'Created-By: Packages' | sed -n "s/|$LAB_SUITE\$//p" | sed -n 1p
}

# lab_apt ARCH PROGRAM WORD…: apt for another architecture, with a state of its own.
lab_apt() {
    local arch=$1 program=$2 state="$lab/apt-$1"
    shift 2
    if [ ! -e "$state/ready" ]; then
        mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/etc"
        : >"$state/status"
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(lab_mirror) $LAB_SUITE main" >"$state/sources.list"
    fi
    local options=(-o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$state/lists"
        -o "Dir::Cache=$state/cache" -o "Dir::State::status=$state/status" -o "APT::Architecture=$arch" -o "APT::Architectures=$arch"
        -o Acquire::Retries=3 -o APT::Sandbox::User=root)
    if [ ! -e "$state/ready" ]; then
        retry_mirror apt-get "${options[@]}" -qq update
        touch "$state/ready"
    fi
    "$program" "${options[@]}" "$@"
}

# lab_unpack ARCH PACKAGE FOLDER: a package's files, without its scripts.
lab_unpack() {
    local arch=$1 package=$2 folder=$3 download
    download=$(mktemp -d "$lab/download.XXXXXX")
    (cd "$download" && retry_mirror lab_apt "$arch" apt-get -qq download "$package")
    mkdir -p "$folder"
    dpkg-deb --extract "$download"/*.deb "$folder"
    rm -rf "$download"
}

# lab_kernel ARCH: $lab/ARCH/kernel and $lab/ARCH/modules of the distribution's smallest kernel.
lab_kernel() {
    local arch=$1 name flavour=cloud-arm64
    [ ! -e "$lab/$arch/kernel" ] || return 0
    [ "$arch" = arm64 ] || flavour=armmp-lpae
    # The version is in the name and moves.
    name=$(lab_apt "$arch" apt-cache depends "linux-image-$flavour" | sed -n 's/.*Depends: \(linux-image-[^ ]*\).*/\1/p' | sed -n 1p)
    echo "    fetching $name and busybox for $arch"
    rm -rf "${lab:?}/$arch"
    lab_unpack "$arch" "$name" "$lab/$arch/kernel-package"
    lab_unpack "$arch" busybox-static "$lab/$arch/busybox-package"
    install -D "$lab/$arch"/busybox-package/bin/busybox "$lab/$arch/busybox"
    local version
    version=$(ls "$lab/$arch/kernel-package/lib/modules")
    depmod -b "$lab/$arch/kernel-package" "$version"
    mkdir -p "$lab/$arch/modules"
    : >"$lab/$arch/modules/order"
    local module file
    for module in virtio_pci virtio_mmio virtio_blk ext4 squashfs overlay; do
        for file in $(modprobe -d "$lab/$arch/kernel-package" -S "$version" --show-depends "$module" 2>/dev/null | sed -n 's/^insmod \([^ ]*\).*/\1/p'); do
            grep -qx "$(basename "$file")" "$lab/$arch/modules/order" && continue
            basename "$file" >>"$lab/$arch/modules/order"
            cp "$file" "$lab/$arch/modules/"
        done
    done
    echo "$name" >"$lab/$arch/kernel.name"
    mv "$lab/$arch"/kernel-package/boot/vmlinuz-* "$lab/$arch/kernel"
    rm -rf "$lab/$arch/kernel-package" "$lab/$arch/busybox-package"
}

# lab_initramfs ARCH PROGRAM: $lab/ARCH/initramfs, a machine whose only programs are busybox and the one under test.
lab_initramfs() {
    local arch=$1 program=$2 tree
    tree=$(mktemp -d "$lab/tree.XXXXXX")
    chmod 755 "$tree"
    mkdir -p "$tree"/{bin,dev,proc,sys,run,tmp,lib/modules,root-image,new-root,usr/bin,var/lib/gateway}
    install "$lab/$arch/busybox" "$tree/bin/busybox"
    ln -s busybox "$tree/bin/sh"
    cp "$lab/$arch"/modules/* "$tree/lib/modules/"
    install "$program" "$tree/usr/bin/bootmigrate"
    install crates/lab/boot/init "$tree/init"
    (cd "$tree" && find . | cpio --create --format=newc --quiet) >"$lab/$arch/initramfs"
    rm -rf "$tree"
}

# lab_root ARCH PROGRAM: $lab/ARCH/root.squashfs, the image's read-only root: systemd, the unit, the example applications.
lab_root() {
    local arch=$1 program=$2 tree
    mkdir -p "$lab/$arch"
    if [ ! -e "$lab/amd64.tar" ]; then
        echo "    making the root file system from the distribution's packages"
        lab_bootstrap amd64 minbase
    fi
    if [ "$arch" != amd64 ] && [ ! -e "$lab/$arch.tar" ]; then lab_bootstrap "$arch" extract; fi
    tree=$(mktemp -d "$lab/tree.XXXXXX")
    chmod 755 "$tree"
    tar --extract --file "$lab/$arch.tar" --directory "$tree"
    # Packages of another processor are only unpacked: what their scripts would have made in /etc is the same on this one.
    if [ "$arch" != amd64 ]; then tar --extract --file "$lab/amd64.tar" --directory "$tree" ./etc ./var/lib/systemd; fi
    lab_install "$tree" "$program"
    mksquashfs "$tree" "$lab/$arch/root.squashfs" -noappend -quiet -no-progress -comp zstd -Xcompression-level 3 -no-xattrs
    rm -rf "$tree"
}

lab_bootstrap() {
    local arch=$1 variant=$2
    retry_mirror mmdebstrap --quiet --architectures="$arch" --variant="$variant" --include="$LAB_ROOT_PACKAGES" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        "$LAB_SUITE" "$lab/$arch.new.tar" "$(lab_mirror)"
    mv "$lab/$arch.new.tar" "$lab/$arch.tar"
}

# What a product's image adds: the program, the unit as it is shipped, its user, two applications.
lab_install() {
    local tree=$1 program=$2 units="$1/usr/lib/systemd/system"
    install "$program" "$tree/usr/bin/bootmigrate"
    install -m 644 packaging/systemd/bootmigrate.service packaging/systemd/examples/gateway.service \
        packaging/systemd/examples/telemetry-agent.service "$units/"
    install -D -m 644 packaging/systemd/drop-ins/60-console.conf "$units/bootmigrate.service.d/60-console.conf"
    install crates/lab/boot/application "$tree/usr/bin/gateway"
    install crates/lab/boot/application "$tree/usr/bin/telemetry-agent"
    echo "gateway:x:990:990:Gateway application:/var/lib/gateway:/usr/sbin/nologin" >>"$tree/etc/passwd"
    echo "gateway:x:990:" >>"$tree/etc/group"
    mkdir -p "$tree/var/lib/gateway"
    echo 0123456789abcdef0123456789abcdef >"$tree/etc/machine-id"
    echo bootlab >"$tree/etc/hostname"
    # Without a password: it is nobody's machine, and a technician looks at its console.
    sed -i 's/^root:[^:]*:/root::/' "$tree/etc/shadow"
    systemctl --quiet --root="$tree" enable bootmigrate.service gateway.service telemetry-agent.service
    systemctl --quiet --root="$tree" mask systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
        e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-pstore.service systemd-timesyncd.service
}

# lab_table CUTS ROWS: the table in docs/reliability.md, between its two marks.
lab_table() {
    local cuts=$1 rows=$2 document=docs/reliability.md
    {
        sed '/<!-- the boot lab -->/q' "$document"
        printf '\nSources: %s. Command: scripts/boot-lab --cuts %s, on %s cores. Controls are the rows whose bad states must be there.\n' \
            "$(sources_hash)" "$cuts" "$(nproc)"
        printf 'Linux %s here, %s in the machines; QEMU %s; systemd %s.\n\n' "$(uname -r | grep -oE '^[0-9]+\.[0-9]+')" "$(cat "$lab"/*/kernel.name | sed 's/^linux-image-//' | paste -sd ' ')" \
            "$(qemu-system-aarch64 --version | sed -n '1s/.*version \([0-9.]*\).*/\1/p')" "$(systemd-nspawn --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')"
        printf '| method | cuts or states | bad | seconds each | command |\n|---|---|---|---|---|\n'
        cat "$rows"
        echo
        sed -n '/<!-- end of the boot lab -->/,$p' "$document"
    } >"$lab/reliability.md"
    cp "$lab/reliability.md" "$document"
    echo "$document has the table."
}
