"""A row's packets stay in order, whatever their headers hold: those with padding, extension or contributing sources are
taken in a second round, and what comes behind them with them."""

from __future__ import annotations

from tests.unit.rtp.test_relay import A, Rig, rtp

PADDED = b"x" * 159 + b"\x01"


def test_a_padded_packet_is_not_overtaken_by_the_plain_one_behind_it() -> None:
    rig = Rig()
    a, _ = rig.pair()
    rig.play([1])
    out = rig.batch((A, 4000, rtp(2, 320, head=0xA0, body=PADDED)), (A, 4000, rtp(3, 480)))
    assert [each.seq for each in rig.sent(out)] == [502, 503]
    assert int(rig.table.late[a.row]) == 0


def test_a_padded_packet_before_a_flood_of_plain_ones_is_not_lost() -> None:
    rig = Rig()
    a, _ = rig.pair()
    rig.play([1])
    plain = [(A, 4000, rtp(3 + n, 480)) for n in range(102)]
    out = rig.batch((A, 4000, rtp(2, 320, head=0xA0, body=PADDED)), *plain)
    assert len(rig.sent(out)) == 103
    assert int(rig.table.bad[a.row]) == 0
