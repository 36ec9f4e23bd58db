#!/bin/sh
# Installs what takt is built from, where it is missing: tools/setup.sh [check | clients]
# With `check` also what `make check` needs. As root or through sudo with apt-get; where neither is
# there it names the packages and stops. Costs a few hundredths of a second when nothing is missing.
set -u

BUILD_PACKAGES="gcc libc6-dev make libjansson-dev libssl-dev libcurl4-openssl-dev libcmocka-dev \
    libmicrohttpd-dev libsqlite3-dev"
CHECK_PACKAGES="clang libclang-rt-14-dev clang-format systemd iproute2"
# To build for arm64 and run it here.
case $(uname -m) in
aarch64 | arm64) ;;
*) CHECK_PACKAGES="$CHECK_PACKAGES gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
    libpcre2-dev:arm64 libjansson-dev:arm64 libssl-dev:arm64 libcmocka-dev:arm64
    libcurl4-openssl-dev:arm64 libmicrohttpd-dev:arm64 libsqlite3-dev:arm64" ;;
esac
# Of `make page` and `make check-clients`.
CLIENT_PACKAGES="nodejs npm chromium curl"

has() { command -v "$1" >/dev/null 2>&1; }

# header NAME: is it where the compiler or the system keeps headers?
header() {
    for folder in /usr/include /usr/include/*-linux-gnu /usr/local/include; do
        [ -e "$folder/$1" ] && return 0
    done
    return 1
}

# foreign NAME: is the library there for arm64?
foreign() { [ -e "/usr/lib/aarch64-linux-gnu/$1.so" ]; }

present() {
    case $1 in
    gcc | make | clang | clang-format) has "$1" ;;
    gcc-aarch64-linux-gnu) has aarch64-linux-gnu-gcc ;;
    libc6-dev-arm64-cross) [ -e /usr/aarch64-linux-gnu/include/stdio.h ] ;;
    qemu-user) has qemu-aarch64 ;;
    libpcre2-dev:arm64) foreign libpcre2-8 ;;
    libjansson-dev:arm64) foreign libjansson ;;
    libssl-dev:arm64) foreign libcrypto ;;
    libcmocka-dev:arm64) foreign libcmocka ;;
    libcurl4-openssl-dev:arm64) foreign libcurl ;;
    libmicrohttpd-dev:arm64) foreign libmicrohttpd ;;
    libsqlite3-dev:arm64) foreign libsqlite3 ;;
    nodejs) has node ;;
    npm | chromium | curl) has "$1" ;;
    systemd) [ -x /lib/systemd/systemd ] ;;
    iproute2) has ip ;;
    libc6-dev) header stdio.h ;;
    libjansson-dev) header jansson.h ;;
    libssl-dev) header openssl/evp.h ;;
    libcurl4-openssl-dev) header curl/curl.h ;;
    libcmocka-dev) header cmocka.h ;;
    libmicrohttpd-dev) header microhttpd.h ;;
    libsqlite3-dev) header sqlite3.h ;;
    libclang-rt-14-dev) ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a \
        >/dev/null 2>&1 ;;
    esac
}

missing() {
    found=""
    for package in $wanted; do
        present "$package" || found="$found $package"
    done
    echo "$found"
}

wanted=$BUILD_PACKAGES
[ "${1:-}" = check ] && wanted="$wanted $CHECK_PACKAGES"
[ "${1:-}" = clients ] && wanted="$wanted $CLIENT_PACKAGES"
packages=$(missing)
[ -z "$packages" ] && exit 0

as_root=""
if ! has apt-get; then
    echo "setup: missing:$packages (Debian names); there is no apt-get here, install them by hand" >&2
    exit 1
elif [ "$(id -u)" -ne 0 ]; then
    if has sudo && sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    elif has sudo && [ -t 0 ]; then
        as_root="sudo"
    else
        echo "setup: missing:$packages; as root: apt-get install$packages" >&2
        exit 1
    fi
fi

echo "setup: installing$packages" >&2
log=$(mktemp /tmp/takt-setup-XXXXXX)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # word splitting is meant: lists of packages, a prefix of two words
install_packages() {
    case $packages in
    *:arm64*) $as_root dpkg --add-architecture arm64 || return 1 ;;
    esac
    $as_root apt-get update -qq &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
            $packages
}
if ! install_packages >"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    echo "setup: apt-get could not install$packages; its message is above" >&2
    exit 1
fi
packages=$(missing)
if [ -n "$packages" ]; then
    echo "setup: still missing after installing:$packages" >&2
    exit 1
fi
