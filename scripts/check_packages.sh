#!/usr/bin/env bash
# Some tests run programs of Debian's. Installs what is missing where it may, else says how and fails.
#   check_packages.sh WHAT_FOR COMMAND:PACKAGE...
set -euo pipefail

purpose=$1
shift
missing=()
for pair in "$@"; do
    PATH="$PATH:/usr/sbin" command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    echo "$purpose: ${missing[*]} not found. On Debian and Ubuntu: sudo apt-get install ${missing[*]}" >&2
    exit 1
fi
echo "Installing ${missing[*]} ..."
apt-get update -qq
# policy-rc.d: a package that starts a server open to the network is not what a test wants.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
