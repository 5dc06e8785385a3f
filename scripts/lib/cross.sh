# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # rust_wanted comes from setup.sh; cross_cargo goes to the callers
# Owns building for the devices' processors: four targets, three ways; what is made on the way lies in target/cross, what rustup's compiler
#   makes where cargo has it.
# Promises: says which way it went and why the ones before it could not be; what was made once is used again.
# Never changes the user's own toolchains, and never adds a foreign architecture to the machine's packages.
#
# Needs scripts/lib/setup.sh, `need_rust` called, and the repository as the current folder.

# The targets, as scripts/cross-build and the packages name them.
readonly CROSS_TARGETS=(armv7-unknown-linux-gnueabihf aarch64-unknown-linux-gnu armv7-static aarch64-static)


# What makes a program static, to the letter: cargo takes another spelling for another build.
cross_static=(-C target-feature=+crt-static)
cross_home=$(realpath -m "${CARGO_TARGET_DIR:-target}")/cross

# cross_describe TARGET: its triple and its tools, into cross_*.
cross_describe() {
    # The last crate alone is linked otherwise; all before it are built once for both. Static means glibc: its 64-bit times are
    # there on 32 bits too, where Rust's standard library asks musl for 32-bit ones.
    cross_link=()
    case $1 in *-static) cross_link=("${cross_static[@]}") ;; esac
    case $1 in
    armv7-unknown-linux-gnueabihf | armv7-static)
        cross_triple=armv7-unknown-linux-gnueabihf
        cross_prefix=arm-linux-gnueabihf
        cross_libc=libc6-dev-armhf-cross
        cross_qemu=qemu-arm-static
        cross_architecture=armhf
        ;;
    aarch64-unknown-linux-gnu | aarch64-static)
        cross_triple=aarch64-unknown-linux-gnu
        cross_prefix=aarch64-linux-gnu
        cross_libc=libc6-dev-arm64-cross
        cross_qemu=qemu-aarch64-static
        cross_architecture=arm64
        ;;
    *) fail "there is no target $1; there are ${CROSS_TARGETS[*]}" ;;
    esac
}

# Everything cargo must know of the target that cross_describe has described.
cross_environment() {
    local name=${cross_triple//-/_} upper
    upper=${name^^}
    export "CC_$name=$cross_prefix-gcc" "AR_$name=$cross_prefix-ar"
    export "CARGO_TARGET_${upper}_LINKER=$cross_prefix-gcc"
    local as_root=""
    [ "$(id -u)" -eq 0 ] || as_root="sudo --preserve-env env PATH=$PATH "
    export "CARGO_TARGET_${upper}_RUNNER=$as_root$cross_qemu -L /usr/$cross_prefix"
    unset RUSTFLAGS LIBSQLITE3_FLAGS
    # After January 2038 SQLite could not even look at a file through glibc's 32-bit calls. What is set here counts instead of
    # .cargo/config.toml, and names its options too.
    if [ "$cross_architecture" = armhf ]; then
        export LIBSQLITE3_FLAGS="-DSQLITE_ENABLE_MATH_FUNCTIONS -D_TIME_BITS=64 -D_FILE_OFFSET_BITS=64"
    fi
}

# cross_choose [WAY|native]: the way that can be gone here, into cross_way: cross, rustup or packaged (native: not cross).
cross_choose() {
    local why="another way was asked for"
    cross_way=""
    case ${1:-} in
    "") ;;
    native) why="it was not asked for" ;;
    cross | rustup | packaged) cross_way=$1 ;;
    *) fail "there is no way $1; there are cross, rustup, packaged" ;;
    esac
    if [ -z "${1:-}" ]; then
        if ! command -v cross >/dev/null; then
            why="cross is not installed"
        elif ! cross_engine_runs; then
            why="no container engine answers"
        else
            cross_way=cross
        fi
    fi
    [ "$cross_way" = cross ] || echo "    not by cross: $why"
    if [ "$cross_way" = cross ]; then
        echo "    by cross, in a container"
    elif [ "${cross_way:-rustup}" = rustup ] && cross_rustup_has; then
        cross_way=rustup
        echo "    by the distribution's cross compiler and rustup's target"
    elif [ "${cross_way:-packaged}" = packaged ]; then
        cross_way=packaged
        echo "    not by rustup: it cannot fetch $cross_triple here"
        echo "    by the distribution's cross compiler, and a Rust toolchain made from the distribution's own source package"
    else
        fail "rustup cannot fetch $cross_triple here"
    fi
}

cross_engine_runs() {
    docker version >/dev/null 2>&1 || podman version >/dev/null 2>&1
}

# Asked once a folder: a machine without the way to rustup's servers waits for nothing at each build.
cross_rustup_has() {
    local note="$cross_home/rustup-has-not-$cross_triple"
    command -v rustup >/dev/null || return 1
    if rustup target list --installed 2>/dev/null | grep -qx "$cross_triple"; then return 0; fi
    [ ! -e "$note" ] || return 1
    if RUSTUP_MAX_RETRIES=1 timeout 120 rustup target add "$cross_triple" >/dev/null 2>&1; then return 0; fi
    mkdir -p "$cross_home"
    echo "rustup could not fetch $cross_triple; remove this file to have it asked again" >"$note"
    return 1
}

# The cargo that builds for the described target by cross_way, into cross_cargo.
cross_tools() {
    if [ "$cross_way" = cross ]; then
        # A word like +nightly, as cargo takes it.
        # shellcheck disable=SC2206 # none where it is empty
        cross_cargo=(cross ${BOOTMIGRATE_CROSS_TOOLCHAIN-})
        return
    fi
    need_packages "gcc-$cross_prefix" "$cross_libc" qemu-user-static
    cross_environment
    cross_cargo=(cargo)
    [ "$cross_way" = packaged ] || return 0
    # Two scripts at once: each of these is made once.
    local lock
    mkdir -p "$cross_home"
    exec {lock}>"$cross_home/lock"
    flock "$lock"
    cross_toolchain
    cross_standard_library
    exec {lock}>&-
    cross_cargo=(env "PATH=$cross_home/toolchain/bin:$PATH" "RUSTC=$cross_home/toolchain/bin/rustc" "$cross_home/toolchain/bin/cargo")
}

# Where a release is compiled, by cross_way. Standard libraries differ, but rustup's compiler is the user's own: what runs on this
# machine while it is built is compiled already where this machine's own release was.
cross_folder() {
    if [ "$cross_way" = rustup ]; then echo "${cross_home%/cross}"; else echo "$cross_home/build-$cross_way"; fi
}

# cross_build FILE PACKAGE PROGRAM RUSTC-WORD…: a program of the release for the described target, as FILE. (cross_built_in: compiled
# in that folder.)
cross_build() {
    local folder=${cross_built_in:-$(cross_folder)} code=0
    cross_hold
    # The lock is let go also where this fails.
    {
        (
            cross_release
            "${cross_cargo[@]}" rustc --release --locked --target "$cross_triple" --target-dir "$folder" --package "$2" --bin "$3" -- "${@:4}"
        ) && install -D -m 755 "$folder/$cross_triple/release/$3" "$1"
    } || code=$?
    cross_release
    return "$code"
}

# cross_hold, cross_release: who builds may take what was made before another's takes its name. What is started in between lets go of it
# first, for it may outlive us.
cross_hold() {
    mkdir -p "$cross_home"
    exec {cross_held}>>"$cross_home/build-$cross_way.lock"
    flock --nonblock "$cross_held" && return
    echo "    another script builds there: waiting for it"
    flock "$cross_held"
}

cross_release() { exec {cross_held}>&-; }

# The distribution's rustc and cargo, unpacked into a folder of their own: beside rustup the packages cannot be installed.
cross_toolchain() {
    local home="$cross_home/toolchain" work="$cross_home/unpacked" suffix version package
    [ ! -e "$home/complete" ] || return 0
    apt_update
    suffix=$(cross_packaged_suffix)
    [ -n "$suffix" ] || fail "this distribution has no package of the Rust source of at least $rust_wanted; install cross with a container engine, or rustup"
    version=$(candidate "rustc$suffix")
    echo "    unpacking rustc$suffix $version into $home"
    need_packages patchelf
    # shellcheck disable=SC2046 # names of packages
    need_packages $(apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "rustc$suffix" "cargo$suffix" |
        sed -nE 's/^  Depends: (lib[a-z0-9.+-]+)$/\1/p' | grep -v '^libstd-rust')
    need_packages "$(apt-cache depends "libstd-rust$suffix-dev" "$(cross_standard_package "$suffix")" | sed -nE 's/^  Depends: (libllvm[0-9.]+)$/\1/p' | head -n 1)"
    rm -rf "$home" "$work"
    mkdir -p "$work" "$home/bin" "$home/lib"
    for package in "rustc$suffix" "cargo$suffix" "libstd-rust$suffix-dev" "$(cross_standard_package "$suffix")" "rust$suffix-src"; do
        (cd "$work" && retry_mirror apt-get -qq -o APT::Sandbox::User=root download "$package")
    done
    for package in "$work"/*.deb; do dpkg -x "$package" "$work/root"; done
    cp -a "$work"/root/usr/bin/{rustc,cargo,rustdoc} "$home/bin/"
    cp -a "$work"/root/usr/lib/"$(uname -m)"-linux-gnu/librustc_driver*.so "$home/lib/"
    cp -a "$work/root/usr/lib/rustlib" "$home/lib/"
    rm -rf "$home/lib/rustlib/src"
    mkdir "$home/lib/rustlib/src"
    mv "$work"/root/usr/src/rustc-*/ "$home/lib/rustlib/src/rust"
    # shellcheck disable=SC2016 # $ORIGIN is the loader's
    patchelf --set-rpath '$ORIGIN/../lib' "$home/bin/rustc" "$home/bin/rustdoc"
    rm -rf "$work"
    "$home/bin/rustc" --version >"$home/complete"
}

# "-web" for Debian's rustc-web, "-1.92" for Ubuntu's numbered ones.
cross_packaged_suffix() {
    local package suffix version best="" best_version=""
    for package in $(apt-cache pkgnames rust | grep -E '^rust(-web|-1\.[0-9]+)?-src$'); do
        suffix=${package#rust}
        suffix=${suffix%-src}
        version=$(candidate "rustc$suffix")
        if [ -z "$version" ] || ! new_enough "${version%%[+~-]*}" "$rust_wanted"; then continue; fi
        if [ -z "$best_version" ] || new_enough "$version" "$best_version"; then
            best=$suffix
            best_version=$version
        fi
    done
    echo "$best"
}

cross_standard_package() {
    apt-cache depends "libstd-rust$1-dev" | sed -nE 's/^  Depends: (libstd-rust[a-z-]*-[0-9.]+)$/\1/p' | head -n 1
}

# Rust's standard library for the target, from source, as Rust's own build does it; used once, it is there.
cross_standard_library() {
    local home="$cross_home/toolchain" built="$cross_home/standard-library"
    local place="$home/lib/rustlib/$cross_triple/lib"
    [ ! -e "$place/complete" ] || return 0
    echo "    building Rust's standard library for $cross_triple"
    env "PATH=$home/bin:$PATH" "RUSTC=$home/bin/rustc" RUSTC_BOOTSTRAP=1 "CARGO_TARGET_DIR=$built" __CARGO_DEFAULT_LIB_METADATA=stablestd \
        "RUSTFLAGS=-Zforce-unstable-if-unmarked -Cembed-bitcode=yes --remap-path-prefix=$home/lib/rustlib/src/rust=/rust" \
        "$home/bin/cargo" build --quiet --locked --release --target "$cross_triple" --features "backtrace panic-unwind" \
        --manifest-path "$home/lib/rustlib/src/rust/library/sysroot/Cargo.toml"
    mkdir -p "$place"
    cp "$built/$cross_triple"/release/deps/*.rlib "$place/"
    rm -rf "$built"
    touch "$place/complete"
}
