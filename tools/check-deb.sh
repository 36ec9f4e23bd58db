#!/bin/bash
# The Debian package as its users meet it: tools/check-deb.sh [PACKAGE]
#
# systemd is booted as the first process of namespaces of its own, on an overlay of this system that is gone
# afterwards. There an older version is installed, serves, is upgraded with its settings changed, is told to stop
# in mid-stream, is removed and purged. Needs root, namespaces, overlays and a cgroup to write in; without
# them the package is built and its unit and scripts are read, and it says so.
set -eu
cd "$(dirname "$0")/.."

if [ "${1:-}" = --boot ]; then # as the first process of the namespaces, with the root's folder
    root=$2
    mount --make-rprivate /
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    for folder in run tmp dev; do mount -t tmpfs tmpfs "$root/$folder"; done
    for node in null zero full random urandom tty; do
        touch "$root/dev/$node"
        mount --bind "/dev/$node" "$root/dev/$node"
    done
    mkdir "$root/dev/pts" "$root/dev/shm"
    mount -t devpts devpts "$root/dev/pts" -o newinstance,ptmxmode=0666
    ln -s pts/ptmx "$root/dev/ptmx"
    mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/systemd" "$root/sys/fs/cgroup/unified"
    if mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd" 2>/dev/null; then
        mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified" 2>/dev/null || true
    else
        mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    fi
    ip link set lo up
    cd "$root"
    pivot_root . .
    umount -l .
    exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --system --unit=basic.target --show-status=no --log-target=journal
fi

fail() {
    echo "check-deb: $*" >&2
    exit 1
}

package=${1:-$(${MAKE:-make} --no-print-directory -s deb)}
[ -e "$package" ] || fail "there is no $package"
work=$(mktemp -d /tmp/takt-deb-XXXXXX)
group=""
boot=""
finish() {
    [ -z "$boot" ] || kill -KILL "$boot" 2>/dev/null || true
    [ -z "$boot" ] || wait "$boot" 2>/dev/null || true
    [ -z "$group" ] || for i in 1 2 3 4 5 6 7 8 9 10; do
        find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
        [ -d "$group" ] || break
        sleep 0.1
    done
    ! mountpoint -q "$work" || umount -l "$work"
    rm -rf "$work"
}
trap finish EXIT

# ---- read ---------------------------------------------------------------------------------------

dpkg-deb --info "$package" >/dev/null
mkdir "$work/read"
dpkg-deb --raw-extract "$package" "$work/read"
for script in postinst prerm postrm; do sh -n "$work/read/DEBIAN/$script" || fail "$script has an error"; done
(cd "$work/read" && md5sum --quiet -c DEBIAN/md5sums) || fail "the sums of its files are wrong"
"$work/read/usr/bin/takt" version >/dev/null || fail "its program does not run"
[ "$(cat "$work/read/DEBIAN/conffiles")" = /etc/default/takt ] || fail "its settings are no conffile"

can_boot() {
    [ "$(id -u)" -eq 0 ] && [ -x /lib/systemd/systemd ] && command -v nsenter >/dev/null && command -v ip >/dev/null &&
        command -v deb-systemd-helper >/dev/null && mount -t tmpfs tmpfs "$work" 2>/dev/null || return 1
    mkdir "$work/upper" "$work/work" "$work/root"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root" 2>/dev/null || return 1
    for at in /sys/fs/cgroup/systemd /sys/fs/cgroup; do
        [ -e "$at/cgroup.procs" ] && mkdir "$at/takt-deb-$$" 2>/dev/null && group=$at/takt-deb-$$ && return 0
    done
    return 1
}
if ! can_boot; then
    echo "check-deb: $package is in order; systemd cannot be booted here (root, namespaces, overlayfs, a cgroup), so it was not installed"
    exit 0
fi

# ---- an older version of the same, and the boot --------------------------------------------------

rm -rf "$work/old"
dpkg-deb --raw-extract "$package" "$work/old"
sed -i 's/^Version: .*/Version: 0.0.1/' "$work/old/DEBIAN/control"
echo '# of an older version' >>"$work/old/etc/default/takt"
dpkg-deb --root-owner-group --build "$work/old" "$work/root/root/old.deb" >/dev/null
cp "$package" "$work/root/root/new.deb"
# What this computer has of its own must not stand in the way; the maintainers' scripts may start services.
rm -rf "$work/root/etc/systemd/system" "$work/root/usr/sbin/policy-rc.d" "$work/root/etc/default/takt"
mkdir -p "$work/root/etc/systemd/system"

sh -c "echo \$\$ >$group/cgroup.procs && exec unshare --pid --mount --uts --ipc --cgroup --net --fork --kill-child \
    bash tools/check-deb.sh --boot $work/root" >"$work/boot.log" 2>&1 </dev/null &
boot=$!

inside() { timeout 60 nsenter -t "$first" -m -p -u -i -n -r -w "$@"; }
first=""
for i in $(seq 100); do
    first=$(pgrep -P "$boot" -x systemd || true)
    [ -n "$first" ] && inside systemctl is-active --quiet basic.target 2>/dev/null && break
    kill -0 "$boot" 2>/dev/null || fail "systemd did not boot: $(cat "$work/boot.log")"
    sleep 0.1
done
inside systemctl is-active --quiet basic.target || fail "systemd did not get to basic.target"

# ---- installed, used, upgraded, stopped, removed, purged ------------------------------------------

journal() { inside journalctl -u takt --no-pager | tail -n 20; }
active() { inside systemctl is-active --quiet takt || fail "$1: takt.service does not run: $(journal)"; }
answers() {
    inside curl -sS --max-time 20 "localhost:$1/v1/chat/completions" \
        -d '{"model":"fable-q8_0","messages":[{"role":"user","content":"Hello."}],"max_tokens":4}' |
        grep -q '"completion_tokens":4' || fail "port $1 does not answer: $(journal)"
}
dpkg_to() { inside env DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold "$@" >"$work/dpkg.log" 2>&1 ||
    fail "dpkg $*: $(cat "$work/dpkg.log")"; }

dpkg_to -i /root/old.deb
inside systemd-analyze verify /usr/lib/systemd/system/takt.service || fail "systemd finds fault with the unit"
active "installed"
[ "$(inside systemctl is-enabled takt)" = enabled ] || fail "it would not be there after a restart"
answers 8080
old=$(inside systemctl show -p MainPID --value takt)
[ "$(inside stat -c %U "/proc/$old")" != root ] || fail "it runs as root"

inside sed -i 's/--port 8080/--port 8099/' /etc/default/takt
dpkg_to -i /root/new.deb
active "upgraded"
[ "$(inside systemctl show -p MainPID --value takt)" != "$old" ] || fail "the upgrade left the old program running"
inside grep -q 'port 8099' /etc/default/takt || fail "the upgrade has overwritten the settings"
answers 8099

# Told to stop, it finishes what it streams.
inside curl -sSN --max-time 40 localhost:8099/v1/chat/completions \
    -d '{"model":"fable-q8_0","messages":[{"role":"user","content":"Tell me a story."}],"max_tokens":400,"stream":true}' \
    >"$work/stream" &
stream=$!
for i in $(seq 100); do grep -q delta "$work/stream" && break || sleep 0.02; done
inside systemctl stop takt
wait "$stream" || fail "the stream was cut"
grep -q '^data: \[DONE\]' "$work/stream" || fail "the stream has no end"
[ "$(inside systemctl show -p Result --value takt)" = success ] || fail "it did not end well: $(journal)"

inside systemctl start takt
active "started again"
dpkg_to -r takt
! inside systemctl is-active --quiet takt || fail "removed, and still running"
inside test -e /etc/default/takt || fail "removing took the settings"
dpkg_to -P takt
for path in /etc/default/takt /usr/bin/takt /usr/lib/systemd/system/takt.service /var/lib/private/takt /var/lib/takt \
    /etc/systemd/system/multi-user.target.wants/takt.service; do
    ! inside test -e "$path" && ! inside test -L "$path" || fail "purged, and $path is still there"
done
echo "check-deb: $package installed, started by systemd, upgraded, stopped in mid-stream, removed and purged"
