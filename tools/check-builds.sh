#!/bin/bash
# gcc and clang, -O0 and -O3: the same program bytes and the same logits, for the bundled model and for
# a generated one. Prints one line a build and model; exit 1 when any two builds differ.
set -u

fable=models/fable/fable-q8_0.gguf
out=$(mktemp -d /tmp/takt-builds-XXXXXX)
trap 'rm -rf "$out"' EXIT

field() { sed -n "s/.*\"$1\": \"\([0-9a-f]*\)\".*/\1/p" "$2"; }

# measure BUILD NAME MODEL WORDS...: one run, its two digests as a line of $out/NAME.
measure() {
    local build=$1 name=$2 model=$3
    shift 3
    if ! "$build/takt" run "$model" "$@" --json --all-logits >"$out/json"; then
        echo "$build: takt run failed on $name"
        return 1
    fi
    local program logits
    program=$(field program_hash "$out/json")
    logits=$(field logits_digest "$out/json")
    if [ ${#program} -ne 64 ] || [ ${#logits} -ne 64 ]; then
        echo "$build: $name has no program_hash or logits_digest"
        return 1
    fi
    echo "$program $logits" >>"$out/$name"
    echo "$build $name: program ${program:0:16} logits ${logits:0:16}"
}

status=0
for compiler in gcc clang; do
    for level in -O0 -O3; do
        build=build-$compiler$level
        if ! ${MAKE:-make} --no-print-directory -s -j2 CC=$compiler OPT=$level BUILD="$build" \
            "$build/takt" "$build/tools/random_model"; then
            echo "$build: does not build"
            exit 1
        fi
        # Each build makes its own copy of the generated model: the generator is checked too.
        "$build/tools/random_model" "$out/random.gguf" 11 || status=1
        if [ -r $fable ]; then
            measure "$build" fable $fable -p "Once upon a time there was a fox" -n 6 || status=1
        fi
        measure "$build" random "$out/random.gguf" -p "Once upon a time there was a fox" -n 6 \
            --ctx 64 --chunk 7 || status=1
    done
done
for name in fable random; do
    if [ -e "$out/$name" ] && [ "$(sort -u "$out/$name" | wc -l)" -ne 1 ]; then
        echo "the builds differ on $name"
        status=1
    fi
done
exit $status
