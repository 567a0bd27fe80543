#!/bin/sh
# make_venv.sh PYTHON DIR: a virtual environment in DIR.
#
# PYTHON "auto" takes the distribution's Python where it is new enough: it is built with profile-guided optimisation,
# which is worth a third of the CPU time beside a plain build. Otherwise the first python3 on the path. python3-venv is
# installed first where Debian left it out.
set -eu
python=$1 dir=$2
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
if [ "$python" = auto ]; then
    python=python3
    if [ -x /usr/bin/python3 ] && new_enough /usr/bin/python3; then python=/usr/bin/python3; fi
fi
new_enough "$python" || {
    echo "softswitch needs Python 3.11 or newer; '$python' is $("$python" --version 2>&1). Try: make PYTHON=python3.12" >&2
    exit 1
}
[ -x "$dir/bin/pip" ] && exit 0
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv ca-certificates
    else
        echo "Python's venv module is missing. As root: apt-get install python3-venv" >&2
        exit 1
    fi
fi
"$python" -m venv "$dir"
