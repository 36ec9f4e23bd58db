#!/bin/sh
# takt beside llama.cpp: tools/bench-peer.sh [OPTION of bench/peer/peer.mjs]...
# Writes models of three published shapes (1.3 GB, random weights, Q8_0) into build/models, installs
# llama.cpp through its npm package where that is missing, and measures both in alternation.
set -eu

sh tools/peer.sh
mkdir -p build/models
for shape in stories15m smollm2-135m tinyllama-1.1b; do
    model=build/models/$shape-q8_0.gguf
    [ -e "$model" ] || build/takt synth --shape $shape --type Q8_0 -o "$model"
    node bench/peer/peer.mjs "$model" "$@"
done
