#!/usr/bin/env bash
# The relay's tests on each Python from 3.11 to 3.13 that is on this machine, but for the one of .venv: the lock file says that its packages
# go together there, only tests say that the relay does. PYTHONS="/path/to/python ..." names others.
set -euo pipefail

version() {
    "$1" -c 'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

# A distribution's, those on PATH, and what pyenv keeps aside.
candidates=(/usr/bin/python3.1{1,2,3} python3.1{1,2,3})
if command -v pyenv >/dev/null; then
    candidates+=("$(pyenv root)"/versions/3.1{1,2,3}.*/bin/python3)
fi
if [[ -n "${PYTHONS:-}" ]]; then
    read -ra candidates <<<"$PYTHONS"
fi
ours="$(version .venv/bin/python)"
declare -A found=()
for candidate in "${candidates[@]}"; do
    is="$(version "$candidate")" || continue
    case "$is" in
    "$ours") ;;
    3.11 | 3.12 | 3.13) found[$is]="${found[$is]:-$candidate}" ;;
    esac
done

if ((${#found[@]} == 0)); then
    echo "No other Python from 3.11 to 3.13 is here: the relay's tests ran on $ours alone. On Debian 13: apt-get install python3.13-venv"
    [[ -z "${PYTHONS:-}" ]] # whoever names some wants them
    exit
fi
for is in $(printf '%s\n' "${!found[@]}" | sort); do
    passed=".make/python$is/passed" # with AGAIN=1, as in scripts/stages.sh, those that passed are left out
    if [[ -n "${AGAIN:-}" && -e "$passed" ]]; then
        continue
    fi
    rm -f "$passed"
    echo "== Python $is (${found[$is]})"
    make test-relay VENV=".make/python$is" PYTHON="${found[$is]}"
    touch "$passed"
done
