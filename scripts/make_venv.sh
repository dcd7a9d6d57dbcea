#!/usr/bin/env bash
# Makes .venv with the newest Python of the system that the relay runs on (3.11 to 3.13), else with the newest on PATH; keeps one that is there.
# PYTHON=/path/to/python chooses another, VENV=directory another place.
set -euo pipefail
venv="${VENV:-.venv}"

suits() {
    "$1" -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

if suits "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    exit 0
fi

if [[ -n "${PYTHON:-}" ]]; then
    candidates=("$PYTHON")
else
    # A distribution's Python is built with profile-guided optimisation, and its package manager mends it. What a version manager compiled is neither.
    candidates=(/usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11 python3.13 python3.12 python3.11 python3)
fi
found=""     # the newest that suits
complete=""  # the newest that suits and can make virtual environments
for candidate in "${candidates[@]}"; do
    suits "$candidate" || continue
    found="${found:-$candidate}"
    if "$candidate" -c 'import venv, ensurepip' 2>/dev/null; then
        complete="$candidate"
        break
    fi
done

if [[ -z "$found" ]]; then
    echo "The relay needs Python 3.11, 3.12 or 3.13${PYTHON:+, and $PYTHON is none of them}." >&2
    echo "On Debian 12 or 13 and on Ubuntu 24.04: apt-get install python3 python3-venv" >&2
    echo "If it is installed somewhere else: make setup PYTHON=/path/to/python3" >&2
    exit 1
fi

if [[ -z "$complete" ]]; then
    # Debian and Ubuntu ship Python without venv, in a package of its own.
    package="python$("$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        echo "$found cannot make virtual environments. Run: sudo apt-get install $package" >&2
        exit 1
    fi
    echo "Installing $package ..."
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package" >/dev/null
    complete="$found"
fi

echo "Making $venv with $("$complete" --version) ..."
rm -rf "$venv"
mkdir -p "$(dirname "$venv")"
"$complete" -m venv "$venv"
