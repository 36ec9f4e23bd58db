#!/bin/sh
# What serving costs, and takt serve beside llama.cpp behind HTTP: tools/bench-serve.sh [OPTION of bench/serve/serve.mjs]...
set -eu
sh tools/peer.sh
mkdir -p build/models
shape=${SHAPE:-smollm2-135m}
model=build/models/$shape-q8_0.gguf
[ -e "$model" ] || build/takt synth --shape "$shape" --type Q8_0 -o "$model"
exec node bench/serve/serve.mjs "$model" "$@"
