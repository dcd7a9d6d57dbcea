#!/usr/bin/env bash
# Says what to install when the client's tests cannot run here. The relay itself needs no Node.
set -euo pipefail

if command -v node >/dev/null && command -v npm >/dev/null; then
    if node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
                process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)'; then
        exit 0
    fi
    found="found $(node --version)"
else
    found="found no node and npm"
fi
echo "The client's tests need Node 20.19 or newer, with npm ($found)." >&2
echo "On Debian 13: apt-get install nodejs npm. Debian 12 and Ubuntu 24.04 ship an older one:" >&2
echo "there, take a package from nodejs.org. A relay alone (make run) needs no Node." >&2
exit 1
