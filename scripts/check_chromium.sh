#!/usr/bin/env bash
# Chromium draws the app's screens (make screens, make test). Installs Debian's package where that is possible, or says what to do.
set -euo pipefail

if [[ -n "${CHROMIUM:-}" || -x /usr/bin/chromium || -x /usr/bin/chromium-browser ]]; then
    exit 0
fi
if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    echo "The pictures of the app's screens need Chromium: sudo apt-get install chromium fonts-noto-color-emoji," >&2
    echo "or name one that is somewhere else: make screens CHROMIUM=/path/to/chromium" >&2
    exit 1
fi
echo "Installing chromium ..."
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-noto-color-emoji >/dev/null
