#!/bin/bash
# Everything `make check` checks beyond the suite: tools/check.sh [NAME]...
# One line a check, its output only when it fails; at the end "N passed, N failed", the sanitized
# suite's tests counted one by one.
set -u

log=$(mktemp /tmp/takt-check-XXXXXX)
trap 'rm -f "$log"' EXIT
passed=0
failed=0
skipped=0

# check NAME COMMAND...
check() {
    local name=$1 begin=$SECONDS
    shift
    if [ ${#chosen[@]} -gt 0 ] && [[ " ${chosen[*]} " != *" $name "* ]]; then
        return
    fi
    # What hangs is a failure, not the end of everything after it.
    if timeout --kill-after=10 "$limit" "$@" >"$log" 2>&1 </dev/null; then
        passed=$((passed + 1))
        echo "ok      $name ($((SECONDS - begin)) s)"
    else
        failed=$((failed + 1))
        echo "FAILED  $name ($((SECONDS - begin)) s)"
        tail -n 60 "$log" | sed 's/^/    /'
    fi
    # A suite inside a check adds its tests.
    if [[ "$(tail -n 1 "$log")" =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
        skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
    fi
}

chosen=("$@")
limit=${CHECK_LIMIT:-1800} # seconds a check may take, far beyond the longest
make=${MAKE:-make}
check rooms sh tools/check-rooms.sh
check flags sh tools/check-flags.sh
check format sh tools/check-format.sh
check build "$make" --no-print-directory -s -j2 all
check docs sh tools/check-docs.sh build/takt
check builds bash tools/check-builds.sh
check fuzz-replay "$make" --no-print-directory -s -j2 BUILD=build-asan OPT=-O1 \
    EXTRA='-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer' fuzz-replay
check arm64 sh tools/check-arm64.sh
check page sh -c "sh tools/setup.sh clients && sh tools/page.sh check"
check clients "$make" --no-print-directory check-clients
check deb bash tools/check-deb.sh
check sanitizers sh tools/check-sanitizers.sh

line="$passed passed, $failed failed"
[ $skipped -gt 0 ] && line="$line, $skipped skipped"
echo "$line"
[ $failed -eq 0 ]
