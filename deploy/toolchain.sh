# shellcheck shell=bash
# Sourced by deploy/quickstart and tests/run: installs what a bare Debian 12 or 13 lacks.
# It installs only what is missing, and never replaces a toolchain that is new enough.

say() { printf '\n== %s\n' "$*"; }

fail() {
    printf '\nerror: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

# need_packages COMMAND=PACKAGE…: by apt, those whose command is missing. A package without a
# command of its own is asked for under a name that is never found.
need_packages() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing by apt: ${missing[*]}"
    command -v apt-get >/dev/null ||
        fail "missing, and no apt-get here: ${missing[*]}" 'install them by hand and start again'
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null ||
            fail "missing: ${missing[*]}" "as root: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    { "${as_root[@]}" apt-get -qq update &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
            --no-install-recommends install "${missing[@]}" </dev/null; } ||
        fail "apt-get could not install ${missing[*]}" 'its own message stands above'
}

# need_rust [COMPONENT…]: a cargo no older than the workspace's `rust-version`.
need_rust() {
    local wanted installer component
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    # rustup puts cargo where a shell that was open before does not look.
    PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
    export PATH
    if ! cargo_is_new_enough "$wanted"; then
        say "installing Rust by rustup ($wanted or newer is needed; this step needs the internet)"
        if command -v rustup >/dev/null; then
            rustup toolchain install stable --profile minimal ||
                fail 'rustup could not install a toolchain' 'see that the internet can be reached'
            export RUSTUP_TOOLCHAIN=stable
        else
            need_packages curl=curl
            [ -e /etc/ssl/certs/ca-certificates.crt ] || need_packages no-command=ca-certificates
            installer=$(curl -sSf --proto '=https' --tlsv1.2 https://sh.rustup.rs) ||
                fail 'rustup could not be fetched' \
                    "install Rust $wanted or newer by hand: https://rustup.rs"
            sh -s -- -y --profile minimal --no-modify-path <<<"$installer" ||
                fail 'rustup could not install Rust' 'its own message stands above'
            PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH  # ahead of an older one of Debian's
        fi
        cargo_is_new_enough "$wanted" ||
            fail "cargo is still older than $wanted" "this one is used: $(command -v cargo)"
    fi
    for component in "$@"; do
        cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 ||
            rustup component add "$component" ||
            fail "cargo lacks $component" "rustup component add $component"
    done
}

cargo_is_new_enough() {
    local have
    have=$(cargo --version 2>/dev/null | cut -d' ' -f2) || return 1
    [ -n "$have" ] && [ "$(printf '%s\n' "$1" "$have" | sort -V | head -n 1)" = "$1" ]
}
