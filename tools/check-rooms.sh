#!/bin/sh
# The include law: tools/check-rooms.sh
# Every #include "room/..." of src/ROOM/* names ROOM itself or a room of its line in src/ROOMS. Public
# headers: takt_status.h is everybody's, takt.h is for rooms whose line has `takt`.
set -eu

# shellcheck disable=SC2046 # file names here have no spaces
awk '
FILENAME == "src/ROOMS" {
    if ($0 ~ /^#/ || NF == 0) next
    room = $1; sub(":", "", room)
    known[room] = 1
    for (i = 2; i <= NF; i++) allowed[room, $i] = 1
    next
}
FNR == 1 {
    split(FILENAME, part, "/")
    room = part[2]
    if (!known[room]) { print FILENAME ": room " room " has no line in src/ROOMS"; bad = 1 }
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
    name = $0; sub(/^[^"]*"/, "", name); sub(/".*/, "", name)
    if (name == "takt_status.h" || name == "takt_status.def") next
    if (name == "takt.h") target = "takt"
    else if (index(name, "/")) { target = name; sub(/\/.*/, "", target) }
    else { print FILENAME ":" FNR ": \"" name "\" does not name its room"; bad = 1; next }
    if (target != room && !allowed[room, target]) {
        print FILENAME ":" FNR ": " room " may not include " target " (src/ROOMS)"; bad = 1
    }
}
END { exit bad }
' src/ROOMS $(find src -name '*.[ch]' -o -name '*.def' | sort)
