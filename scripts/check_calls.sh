#!/usr/bin/env bash
# The tests of calls run Debian's coturn and let espeak-ng speak. Installs what is missing where it may, else says how.
set -euo pipefail

missing=()
command -v turnserver >/dev/null || missing+=(coturn)
command -v espeak-ng >/dev/null || missing+=(espeak-ng)
[[ ${#missing[@]} -eq 0 ]] && exit 0

if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    echo "The tests of calls need ${missing[*]}. On Debian and Ubuntu: sudo apt-get install ${missing[*]}" >&2
    exit 1
fi
echo "Installing ${missing[*]} ..."
apt-get update -qq
# policy-rc.d: a package that starts a TURN server open to the network is not what a test wants.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
