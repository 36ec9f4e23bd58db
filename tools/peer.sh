#!/bin/sh
# Installs llama.cpp through its npm package, where it is missing, for the benchmarks beside it.
set -eu

if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
    echo "peer: node and npm are missing; as root: apt-get install nodejs npm" >&2
    exit 1
fi
if [ ! -d bench/peer/node_modules/node-llama-cpp ]; then
    case $(uname -m) in
    x86_64) prebuilt=linux-x64 ;;
    aarch64) prebuilt=linux-arm64 ;;
    *) echo "peer: no prebuilt llama.cpp for $(uname -m)" >&2 && exit 1 ;;
    esac
    # Without the optional packages, which are one a platform and GPU.
    (cd bench/peer && npm install --no-package-lock --silent --no-audit --no-fund --ignore-scripts --omit=optional &&
        npm install --no-package-lock --silent --no-audit --no-fund --ignore-scripts --no-save --omit=optional \
            "@node-llama-cpp/$prebuilt@$(node -p "require('./package.json').dependencies['node-llama-cpp']")")
fi
