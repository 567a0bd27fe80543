"""The Debian packages that the interop tests drive the switch with."""

from __future__ import annotations

import os
import shutil

import pytest
from harness.postgres import VERSIONS

TOOLS = ("sipp", "baresip", "linphonec", "tshark", "dumpcap", "ip", "nft", "sox", "espeak-ng", "flite")


def require_tools() -> None:
    """Fails, never skips: an interop suite that runs nothing proves nothing."""
    os.environ["PATH"] += f"{os.pathsep}/usr/sbin{os.pathsep}/sbin"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    missing += [] if any(VERSIONS.glob("*/bin/initdb")) else ["postgresql"]
    if missing:
        pytest.fail(f"missing: {', '.join(missing)}. Run `make tools` (as root: it installs Debian packages)", False)
    if os.geteuid() != 0:
        pytest.fail("interop tests make network namespaces and capture packets: run them as root", False)
