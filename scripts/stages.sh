#!/usr/bin/env bash
# Runs make targets one after the other, with the time of each; stops at the first that fails and says which.
# At the end it repeats the closing lines of the test runners, which would else be far up.
set -euo pipefail

logs=.make/log
mkdir -p "$logs"
times=""
for stage in "$@"; do
    echo "== $stage"
    began=$SECONDS
    if ! make "$stage" 2>&1 | tee "$logs/$stage"; then
        echo
        echo "FAILED: $stage, after $((SECONDS - began)) s. What it said is above and in $logs/$stage; to run it alone: make $stage" >&2
        exit 1
    fi
    times+="$(printf '  %-12s %4d s' "$stage" $((SECONDS - began)))"$'\n'
done

echo
echo "Everything passed in $SECONDS s:"
printf '%s' "$times"
for stage in "$@"; do
    # vitest: "      Tests  12 passed (12)"; pytest: "==== 34 passed in 5.67s ===="
    sed -E 's/\x1b\[[0-9;]*m//g' "$logs/$stage" | grep -E '^ +(Test Files|Tests) +[0-9]|^=+ .*[0-9]+ passed.* =+$' | sed "s/^/$stage: /" || true
done
