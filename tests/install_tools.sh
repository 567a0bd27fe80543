#!/bin/sh
# Installs what the interop tests and benchmarks drive the switch with, when root; says what is missing otherwise.
set -eu
missing=""
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
PATH="$PATH:/usr/sbin:/sbin"
need sipp sip-tester
need baresip baresip-core
need linphonec linphone-cli
need tshark tshark
need ip iproute2
need nft nftables
need sox sox
need gcc gcc
need espeak-ng espeak-ng
need flite flite
# Debian keeps the server's programs off the path.
[ -n "$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] || missing="$missing postgresql"
# A package of the tests (PESQ) is compiled against the headers of the Python that `make setup` took.
.venv/bin/python -c 'import os, sysconfig; raise SystemExit(not os.path.exists(sysconfig.get_paths()["include"] + "/Python.h"))' \
    || missing="$missing python3-dev"
[ -e /usr/include/stdio.h ] || missing="$missing libc6-dev"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ]; then
    echo "Missing Debian packages:$missing. As root: apt-get install$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
