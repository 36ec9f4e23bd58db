#!/bin/sh
# Formatting: clang-format where it is installed, 100 columns and no tabs or trailing spaces anywhere.
set -eu

status=0
if command -v clang-format >/dev/null 2>&1; then
    ${MAKE:-make} --no-print-directory -s format-check || status=1
else
    echo "clang-format is not installed: only widths are checked"
fi
# shellcheck disable=SC2046 # file names here have no spaces
awk '
length($0) > 100 { print FILENAME ":" FNR ": " length($0) " columns"; bad = 1 }
/[ \t]$/ { print FILENAME ":" FNR ": space at the end of the line"; bad = 1 }
/\t/ { print FILENAME ":" FNR ": tab"; bad = 1 }
END { exit bad }
' $(find src include tests tools fuzz -name '*.[ch]') || status=1
exit $status
