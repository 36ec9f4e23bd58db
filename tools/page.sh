#!/bin/sh
# The page: tools/page.sh builds web/ and puts it into src/serve/page.html; with `check` it only says
# whether what is there is what web/ gives. Needs node and npm.
set -eu
cd "$(dirname "$0")/../web"
npm ci --silent
npm run build --silent >/dev/null
if [ "${1:-}" = check ]; then
    cmp dist/index.html ../src/serve/page.html || {
        echo "src/serve/page.html is not what web/ builds: run make page" >&2
        exit 1
    }
else
    cp dist/index.html ../src/serve/page.html
fi
