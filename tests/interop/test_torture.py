"""The torture messages of RFC 4475, sent byte for byte; its sender stands outside this repository."""

from __future__ import annotations

import re

import pytest
from harness.torture import TortureRuns
from torture_files import needs_sender

pytestmark = [pytest.mark.interop, needs_sender]


@pytest.mark.parametrize(("transport", "least"), [("udp", 47), ("tcp", 45)])
def test_the_torture_messages_get_the_answers_of_rfc_4475(torture: TortureRuns, transport: str, least: int) -> None:
    """As many right as named, and a healthy OPTIONS answered after every single one."""
    output = torture.output(transport)
    total = re.search(r"TOTAL (\d+) of (\d+) right, (\d+) left it dead", output)
    assert total is not None, output
    assert int(total[1]) >= least, output
    assert (int(total[2]), int(total[3])) == (49, 0), output


def test_the_tortured_switch_has_no_fault_in_its_log(torture: TortureRuns) -> None:
    torture.check_logs()
