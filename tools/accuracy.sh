#!/bin/sh
# Prints the table of docs/NUMERICS.md: tools/accuracy.sh [--peer]
# Models and texts are those of the folder that TAKT_SHARED names (../shared). TOKENS (20000) bounds
# each row; TOKENS=all takes the whole text. With --peer also llama.cpp's Q8_0 by the same windows,
# through npm's node-llama-cpp, which `npm install` in bench/peer provides.
set -eu
shared=${TAKT_SHARED:-../shared}
tokens=${TOKENS:-20000}
build=${BUILD:-build}
limit="--tokens $tokens"
[ "$tokens" = all ] && limit="" && tokens=2000000000

fable=$shared/models/fable/fable
baby=$shared/models/babyllama-105/babyllama-105
wiki=$shared/text/wiki.test.raw
stories=$shared/text/tinystories-valid-sample.txt

echo "| model | text | window | tokens | loss binary32 | loss | perplexity ratio | KL mean | KL 99 % | same top |"
echo "|---|---|---|---|---|---|---|---|---|---|"

# ours MODEL TEXT WINDOW [OPTION]...
ours() {
    model=$1 text=$2 window=$3
    shift 3
    # shellcheck disable=SC2086 # limit is two words or none
    "$build/takt" accuracy "$model" "$text" --ctx "$window" $limit --row "$@"
}
for window in 128 512; do
    ours "$fable-f16.gguf" "$wiki" $window
done
ours "$fable-f16.gguf" "$stories" 512
ours "$fable-q8_0.gguf" "$wiki" 512 --baseline "$fable-f16.gguf"
for window in 64 256; do
    ours "$baby-f32.gguf" "$wiki" $window
done
ours "$baby-f32.gguf" "$stories" 256
ours "$baby-q8_0.gguf" "$wiki" 256 --baseline "$baby-f32.gguf"
for window in 128 512; do
    ours "$shared/models/stories260k/stories260K.gguf" "$wiki" $window
done
ours "$shared/models/stories260k/stories260K.gguf" "$stories" 512

[ "${1:-}" = --peer ] || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# peer BASELINE MODEL TEXT WINDOW
peer() {
    "$build/tools/peer_accuracy" "$1" "$3" "$4" "$tokens" >"$work/windows"
    node bench/peer/logits.mjs "$2" "$work/windows" "$work/logits"
    printf 'llama.cpp, %s, %s, %s: ' "$(basename "$2")" "$(basename "$3")" "$4"
    "$build/tools/peer_accuracy" "$1" "$3" "$4" "$tokens" "$work/logits"
}
echo
python3 tools/peer-vocabulary.py "$baby-q8_0.gguf" "$work/babyllama-105-q8_0.gguf" 105
for text in "$wiki" "$stories"; do
    peer "$fable-f16.gguf" "$fable-q8_0.gguf" "$text" 512
    peer "$baby-f32.gguf" "$work/babyllama-105-q8_0.gguf" "$text" 256
done
