#!/usr/bin/env bash
# Compiles the app's Kotlin on a JVM and tests it: alone, under Robolectric, and against the client core under Node.
# Everything Maven fetches lies in a repository of this checkout and is compared with a list of hashes before anything is built with it.
#   scripts/test_android.sh [fetch|record]   fetch: only fetch and compare; record: write the list anew, after a change of versions
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

module=mobile/modules/sottovoce-native/jvm
repository=$PWD/.make/m2
list=$PWD/$module/checksums.sha256
ready=$repository/.ready
mode=${1:-test}

for tool in java mvn; do
    command -v "$tool" >/dev/null || {
        echo "$tool is missing: the Kotlin tests need a JDK 17 or later and Maven 3.8 or later (on Debian: apt install openjdk-17-jdk-headless maven)" >&2
        exit 1
    }
done

maven() { mvn --batch-mode --quiet --file "$module/pom.xml" -Dmaven.repo.local="$repository" "$@"; }

hashes() { (cd "$repository" && find . -name '*.jar' | LC_ALL=C sort | xargs -d '\n' sha256sum); }

if [[ $mode == record || ! -f $ready || $module/pom.xml -nt $ready || $list -nt $ready ]]; then
    echo "Fetching what the Kotlin tests need (about 700 MB the first time) ..."
    mkdir -p "$repository"
    version=$(sed -n 's:.*<android.instrumented.version>\(.*\)</.*:\1:p' "$module/pom.xml")
    maven dependency:go-offline
    # What a plain dependency cannot say: Robolectric's framework, and what Surefire adds when it sees JUnit 4.
    maven dependency:get -Dtransitive=false -Dartifact="org.robolectric:android-all-instrumented:$version"
    maven dependency:get -Dartifact="org.apache.maven.surefire:surefire-junit4:$(sed -n 's:.*<surefire.version>\(.*\)</.*:\1:p' "$module/pom.xml")"
    [[ $mode == record ]] && hashes >"$list"
    if ! difference=$(diff <(hashes) "$list"); then
        echo "What Maven fetched is not what $module/checksums.sha256 lists (<: fetched, >: listed):" >&2
        echo "$difference" >&2
        echo "After a wanted change of versions: scripts/test_android.sh record" >&2
        exit 1
    fi
    touch "$ready"
fi
[[ $mode == test ]] || exit 0

maven --offline test
maven --offline dependency:build-classpath -Dmdep.outputFile=target/classpath.txt
# Surefire says nothing of what passed when Maven is quiet.
python3 - "$module/target/surefire-reports" <<'PY'
import sys
from pathlib import Path
from xml.etree import ElementTree

suites = [ElementTree.parse(report).getroot() for report in Path(sys.argv[1]).glob("TEST-*.xml")]
count = {what: sum(int(suite.get(what, 0)) for suite in suites) for what in ("tests", "failures", "errors", "skipped")}
print(f"Tests run: {count['tests']}, Failures: {count['failures']}, Errors: {count['errors']}, Skipped: {count['skipped']}")
PY
cd mobile
npx vitest run --config vitest.android.config.ts
