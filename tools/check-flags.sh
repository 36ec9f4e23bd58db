#!/bin/sh
# One answer on every compiler: contraction is off in the flags, and nothing asks for fast mathematics.
set -eu

if ! grep -q -e '-ffp-contract=off' Makefile; then
    echo "Makefile: -ffp-contract=off is missing"
    exit 1
fi
if ! ${MAKE:-make} -n BUILD=build-flags CFLAGS=-O2 build-flags/src/num/bits.o |
    grep -q -e '-O2 .*-ffp-contract=off'; then
    echo "Makefile: -ffp-contract=off does not reach the compiler when CFLAGS is set"
    exit 1
fi
rm -rf build-flags
# shellcheck disable=SC2046 # file names here have no spaces
if grep -n -E -e '-(ffast-math|Ofast|funsafe-math|fassociative-math|freciprocal-math)' \
    -e 'STDC FP_CONTRACT ON' -e 'optimize *\(' \
    Makefile $(find src include tests tools fuzz -type f ! -name check-flags.sh 2>/dev/null); then
    echo "fast mathematics is not for this project (docs/NUMERICS.md)"
    exit 1
fi
