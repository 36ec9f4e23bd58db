#!/bin/sh
# The whole suite under the address and undefined-behaviour sanitizers; its last line is the suite's.
set -eu

build="build-asan"
${MAKE:-make} --no-print-directory -s -j2 BUILD=$build OPT=-O1 \
    EXTRA='-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer' \
    $build/takt $build/takt-tests
ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1 $build/takt-tests "$@"
