#!/bin/sh
# The generated manuals in docs/ are what the built takt prints: tools/check-docs.sh [TAKT]
set -eu

takt=${1:-build/takt}
status=0
for name in isa machine; do
    file=docs/$(echo "$name" | tr "[:lower:]" "[:upper:]").md
    if ! "$takt" "$name" | cmp -s - "$file"; then
        echo "$file is not what \`$takt $name\` prints; make docs writes it again"
        status=1
    fi
done
exit $status
