#!/bin/sh
# A Debian package of what `make install` installs: packaging/deb.sh BUILD. Written to BUILD/.
set -eu
build=$1
version=$("$build/takt" version | cut -d ' ' -f 2)
architecture=$(dpkg --print-architecture)
root=$build/deb
rm -rf "$root"
mkdir -p "$root/DEBIAN"
${MAKE:-make} --no-print-directory -s install BUILD="$build" DESTDIR="$root" PREFIX=/usr ETC=/etc
strip --strip-unneeded "$root/usr/bin/takt"
install -d "$root/usr/share/doc/takt"
install -m 644 LICENSE "$root/usr/share/doc/takt/copyright"
gzip -9n -c CHANGES.md >"$root/usr/share/doc/takt/CHANGES.md.gz"
maintainer='the takt authors <takt@takt.invalid>'
# The same program packed twice is the same package: its date is that of the changes.
date=$(LC_ALL=C date -R -u -d "@${SOURCE_DATE_EPOCH:-$(stat -c %Y CHANGES.md)}")
printf 'takt (%s) unstable; urgency=medium\n\n  * See CHANGES.md.gz.\n\n -- %s  %s\n' \
    "$version" "$maintainer" "$date" | gzip -9n >"$root/usr/share/doc/takt/changelog.gz"
find "$root/usr/share/man" -name '*.1' -exec gzip -9n {} +

# The packages of the libraries that the program is linked to.
depends=$(objdump -p "$root/usr/bin/takt" | sed -n 's/^ *NEEDED *//p' | while read -r name; do
    library=$(ldd "$root/usr/bin/takt" | sed -n "s|^[[:space:]]*$name => \\([^ ]*\\).*|\\1|p")
    [ -n "$library" ] || continue
    for path in "$(readlink -f "$library")" "$library" "/usr$library" "/usr$(readlink -f "$library")"; do
        dpkg -S "$path" 2>/dev/null && break
    done
done | sed 's/:.*//' | sort -u | paste -sd , | sed 's/,/, /g')
cat >"$root/DEBIAN/control" <<END
Package: takt
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Section: science
Priority: optional
Installed-Size: $(du -sk "$root" | cut -f 1)
Depends: $depends
Description: compile a language model to a deterministic chip and run it there
 takt compiles a language model file to programs for a tensor-streaming chip on
 which every instruction has a cycle, runs them on a cycle-exact machine or on
 this computer with the same bits, and serves the result over an
 OpenAI-compatible HTTP API (takt.service, on 127.0.0.1:8080).
END
echo /etc/default/takt >"$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do
    install -m 755 packaging/debian/$script "$root/DEBIAN/$script"
done
(cd "$root" && find etc usr -type f -exec md5sum {} +) >"$root/DEBIAN/md5sums"
dpkg-deb --root-owner-group --build "$root" "$build/takt_${version}_$architecture.deb" >/dev/null
rm -rf "$root"
echo "$build/takt_${version}_$architecture.deb"
