#!/bin/sh
# takt beside llama.cpp: tools/bench-peer.sh [OPTION of bench/peer/peer.mjs]...
# Writes models of three published shapes (1.3 GB, random weights, Q8_0) into build/models, installs
# llama.cpp through its npm package where that is missing, and measures both in alternation.
set -eu

if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
    echo "bench-peer: node and npm are missing; as root: apt-get install nodejs npm" >&2
    exit 1
fi
if [ ! -d bench/peer/node_modules/node-llama-cpp ]; then
    case $(uname -m) in
    x86_64) prebuilt=linux-x64 ;;
    aarch64) prebuilt=linux-arm64 ;;
    *) echo "bench-peer: no prebuilt llama.cpp for $(uname -m)" >&2 && exit 1 ;;
    esac
    # Without the optional packages, which are one a platform and GPU.
    (cd bench/peer && npm install --no-package-lock --silent --no-audit --no-fund --ignore-scripts --omit=optional &&
        npm install --no-package-lock --silent --no-audit --no-fund --ignore-scripts --no-save --omit=optional \
            "@node-llama-cpp/$prebuilt@$(node -p "require('./package.json').dependencies['node-llama-cpp']")")
fi
mkdir -p build/models
for shape in stories15m smollm2-135m tinyllama-1.1b; do
    model=build/models/$shape-q8_0.gguf
    [ -e "$model" ] || build/takt synth --shape $shape --type Q8_0 -o "$model"
    node bench/peer/peer.mjs "$model" "$@"
done
