#!/usr/bin/env bash
# Runs make targets one after the other, with the time of each; stops at the first that fails and says which.
# At the end it repeats the closing lines of the test runners, which would else be far up.
# With TRIES=2 a stage that fails is run once more, and is called unsteady if it then passes: for a machine that others wait for.
# A stage that knows AGAIN=1 runs only what failed then. What is unsteady is a bug, of the test or of what it tests; what failed
# stays in .make/log.
set -euo pipefail

tries=${TRIES:-1}
logs=.make/log
mkdir -p "$logs"
times=""
unsteady=""
for stage in "$@"; do
    echo "== $stage"
    began=$SECONDS
    rm -f "$logs/$stage" "$logs/$stage".failed-*
    again=""
    for ((try = 1; ; try++)); do
        if make "$stage" ${again:+"$again"} 2>&1 | tee "$logs/$stage"; then break; fi
        echo
        if ((try >= tries)); then
            echo "FAILED: $stage, after $((SECONDS - began)) s. What it said is above and in $logs/$stage; to run it alone: make $stage" >&2
            exit 1
        fi
        mv "$logs/$stage" "$logs/$stage.failed-$try"
        unsteady+="  $stage: what failed is above and in $logs/$stage.failed-$try"$'\n'
        echo "== $stage failed, and is tried once more"
        again="AGAIN=1"
    done
    times+="$(printf '  %-12s %4d s' "$stage" $((SECONDS - began)))"$'\n'
done

echo
echo "Everything passed in $SECONDS s:"
printf '%s' "$times"
for stage in "$@"; do
    # vitest: "      Tests  12 passed (12)"; pytest: "==== 34 passed in 5.67s ===="
    sed -E 's/\x1b\[[0-9;]*m//g' "$logs/$stage" | grep -E '^ +(Test Files|Tests) +[0-9]|^=+ .*[0-9]+ passed.* =+$' | sed "s/^/$stage: /" || true
done
if [[ -n $unsteady ]]; then
    echo
    echo "UNSTEADY, passed only when tried again (a bug to look for):"
    printf '%s' "$unsteady"
fi
