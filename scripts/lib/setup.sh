# shellcheck shell=bash
# Owns what a fresh Debian or Ubuntu needs before a script can build: packages, and a Rust toolchain.
# Promises: says what it installs and why; a second call installs nothing; what cannot be had is one sentence.
# Never removes a package, and never changes a toolchain that is new enough.

# Tries of the package mirror: it is the one part of a set-up that fails for no reason of ours.
readonly MIRROR_TRIES=4
# Seconds to wait for another package manager's run: a machine that has just started may still be setting itself up.
readonly PACKAGES_LOCKED_S=600

fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Runs a command as root, by sudo where that is needed.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "this needs root and there is no sudo: $*"
    fi
}

apt_updated=no

apt_update() {
    [ "$apt_updated" = no ] || return 0
    retry_mirror as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout="$PACKAGES_LOCKED_S" -o Acquire::Retries=3 update
    apt_updated=yes
}

retry_mirror() {
    local try
    for try in $(seq "$MIRROR_TRIES"); do
        "$@" && return 0
        echo "    the package mirror did not answer as it should (try $try of $MIRROR_TRIES)"
        sleep $((try * 3))
    done
    fail "the package mirror cannot be used; run this again when it can: $*"
}

is_installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# need_packages PACKAGE…: installs those that are missing.
need_packages() {
    local package missing=()
    command -v apt-get >/dev/null || fail "this set-up knows Debian and Ubuntu; install these yourself: $*"
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    echo "    installing ${missing[*]}"
    apt_update
    retry_mirror as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o DPkg::Lock::Timeout="$PACKAGES_LOCKED_S" -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 install --yes --no-install-recommends "${missing[@]}" >/dev/null
}

# new_enough FOUND WANTED: dotted versions.
new_enough() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort --version-sort | head -n 1)" = "$2" ]
}

# The version that a tool prints; empty where it cannot run. (rustup's stand-ins exist without a toolchain.)
version_of() {
    "$1" --version 2>/dev/null | sed -n '1s/^[a-z-]* \([0-9][0-9.]*\).*/\1/p'
}

rust_fits() {
    local tool version
    for tool in cargo rustc; do
        version=$(version_of "$tool")
        if [ -z "$version" ] || ! new_enough "$version" "$rust_wanted"; then return 1; fi
    done
}

lint_tools_fit() {
    cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1
}

# cache_c FOLDER: what a C compiler has made is used again by every build that asks for the same, in whatever profile: SQLite takes a
# minute each time. By the folder of the programs' names on PATH, which cargo does not ask for: what is built without it stays fresh.
cache_c() {
    need_packages ccache
    export CCACHE_DIR=$1 PATH="/usr/lib/ccache:$PATH"
}

# Seconds: a registry that does not answer is the reason why a tool is not used, and not one to wait for.
readonly PYTHON_TOOL_LIMIT_S=300

# python_tool FOLDER NAME==VERSION: a tool of the Python registry, in a folder of its own; FOLDER/bin has it. Not 0 where it cannot be had.
python_tool() {
    local folder=$1 tool=$2
    [ "$(cat "$folder/complete" 2>/dev/null)" != "$tool" ] || return 0
    need_packages python3 python3-venv
    rm -rf "$folder"
    # The distribution's own interpreter: another one before it on PATH may be of any version.
    if ! /usr/bin/python3 -m venv "$folder" || ! timeout --kill-after=5 "$PYTHON_TOOL_LIMIT_S" "$folder/bin/pip" --quiet \
        --disable-pip-version-check --timeout 30 --retries 2 install "$tool"; then
        rm -rf "$folder"
        return 1
    fi
    echo "$tool" >"$folder/complete"
}

# need_rust to-build|to-lint: cargo and rustc of at least the workspace's rust-version, first on PATH.
need_rust() {
    rust_wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
    local lint_tools=""
    [ "$1" != to-lint ] || lint_tools=yes
    [ ! -d "$HOME/.cargo/bin" ] || PATH="$HOME/.cargo/bin:$PATH"
    if rust_fits && { [ -z "$lint_tools" ] || lint_tools_fit; }; then
        echo "    Rust $(version_of rustc) is here (at least $rust_wanted is needed)"
    elif rust_by_rustup || rust_by_packages "$lint_tools" || rust_by_packaged_rustup; then
        hash -r
        echo "    Rust $(version_of rustc) by $rust_source"
    else
        fail "no Rust of at least $rust_wanted can be had here: neither rustup nor this distribution's packages have one; install it and run this again"
    fi
    if [ -n "$lint_tools" ] && ! lint_tools_fit; then
        fail "cargo fmt and cargo clippy are missing; install rustfmt and clippy for $(command -v cargo)"
    fi
}

# A rustup that is already there.
rust_by_rustup() {
    command -v rustup >/dev/null || return 1
    rust_source="rustup"
    echo "    rustup fetches the stable toolchain"
    rustup toolchain install stable --profile minimal --component rustfmt --component clippy --no-self-update || return 1
    export RUSTUP_TOOLCHAIN=stable
    hash -r
    rust_fits
}

rust_by_packaged_rustup() {
    command -v rustup >/dev/null && return 1
    [ -n "$(candidate rustup)" ] || return 1
    need_packages rustup
    rust_by_rustup || return 1
    rust_source="the distribution's rustup"
}

candidate() {
    LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: \([0-9].*\)/\1/p'
}

# The distribution's own packages: `cargo`, Debian's `cargo-web` (newer, in the security pocket of a stable release),
# Ubuntu's `cargo-1.92` and the like.
rust_by_packages() {
    local lint_tools=$1 cargo suffix version best="" best_version=""
    apt_update
    for cargo in $(apt-cache pkgnames cargo | grep -E '^cargo(-web|-1\.[0-9]+)?$'); do
        [ -n "$(candidate "$cargo")" ] || continue
        # An older Debian's cargo has a number of its own, 0.66; the compiler's counts.
        version=$(candidate "rustc${cargo#cargo}")
        if [ -z "$version" ] || ! new_enough "${version%%[+~-]*}" "$rust_wanted"; then continue; fi
        if [ -z "$best" ] || new_enough "$version" "$best_version"; then
            best=$cargo
            best_version=$version
        fi
    done
    [ -n "$best" ] || return 1
    suffix=${best#cargo}
    rust_source="the package $best $best_version"
    local packages=("$best" "rustc$suffix") tool
    if [ -n "$lint_tools" ]; then
        for tool in "rustfmt$suffix" "rust$suffix-clippy"; do
            if [ -n "$(candidate "$tool")" ]; then packages+=("$tool"); fi
        done
    fi
    need_packages "${packages[@]}"
    # Ubuntu's numbered packages stand in folders of their own.
    if [ -d "/usr/lib/rust${suffix}/bin" ]; then PATH="/usr/lib/rust${suffix}/bin:$PATH"; else PATH="/usr/bin:$PATH"; fi
    hash -r
    rust_fits
}

# sources_hash: what a measurement of the device's behaviour stands for: its sources, without its tests.
sources_hash() {
    git ls-files -s Cargo.lock src crates/model/src ':!src/*_tests.rs' ':!crates/model/src/*_tests.rs' ':!crates/model/src/config/tests*' | sha256sum | cut -c 1-16
}
