"""The jitter buffer: one test per rule of `rtp.playout`, `rtp.playout_arrival`."""

from __future__ import annotations

import numpy as np
import pytest

from rtp.playout import PlayoutBank
from rtp.playout_arrival import LATE_RUN, MAX_DELAY_SECONDS, SEEN
from rtp.playout_columns import IDLE_FRAMES, MISSING, RING

TICK = 0.02


class Voice:
    """One row, its sender and its listener. Packet k holds the value k + 1 in all its samples."""

    def __init__(
        self, rate: int = 8000, clock: int = 8000, size: int | None = None, bank: PlayoutBank | None = None
    ) -> None:
        self.bank = bank or PlayoutBank(rate)
        self.row = self.bank.take()
        self.bank.open(self.row, clock)
        self.rows = np.array([self.row])
        self.size = size or self.bank.n
        self.step = self.size * clock // rate  # timestamp units in a packet
        self.seq, self.stamp = 65530, 0xFFFFFF00  # both wrap soon
        self.now = 1000.0
        self.loudness = 1
        self.heard: list[int] = []
        self.missing: list[bool] = []
        self.started: list[bool] = []

    def __getattr__(self, name: str) -> int:
        return int(getattr(self.bank.columns, name)[self.row])

    def packet(self, k: int, at: float = 0.0, mark: bool = False, seq: int | None = None, jump: int = 0) -> int:
        """Packet k arrives `at` seconds before the next tick."""
        return self.packets([k], at, mark, seq, jump)[0]

    def packets(
        self, ks: list[int], at: float = 0.0, mark: bool = False, seq: int | None = None, jump: int = 0
    ) -> list[int]:
        numbers = np.array(ks)
        stamps = (self.stamp + numbers * self.step + jump) & 0xFFFFFFFF
        seqs = (self.seq + (numbers if seq is None else np.full(len(ks), seq))) & 0xFFFF
        k = len(ks)
        rows = np.full(k, self.row)
        positions = self.bank.arrived(rows, stamps, seqs, np.full(k, mark), np.full(k, self.size), self.now + TICK - at)
        samples = np.repeat((numbers * self.loudness + 1).astype(np.int16)[:, None], self.size, axis=1)
        written = positions >= 0
        self.bank.write(rows[written], positions[written], samples[written])
        return [int(position) for position in positions]

    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.now += TICK
            played = self.bank.play(self.rows, self.now)
            assert played.frames.shape == (1, self.bank.n)
            self.heard.append(int(played.frames[0, 0]))
            self.missing.append(bool(played.missing[0]))
            self.started.append(bool(played.started[0]))

    def run(self, ks: range, at: float = 0.01) -> None:
        for k in ks:
            self.packet(k, at)
            self.tick()

    @property
    def lost(self) -> int:
        return int(self.bank.lost(self.rows)[0])


def running(count: int = 20, **kind: int) -> Voice:
    """A voice that has played for a while, everything in time."""
    voice = Voice(**kind)
    voice.tick(3)
    voice.run(range(count))
    return voice


def values(voice: Voice) -> list[int]:
    """Which packets were heard, once each, in order."""
    found = [value for value in voice.heard if value]
    return [value for at, value in enumerate(found) if at == 0 or found[at - 1] != value]


# ---- start


@pytest.mark.parametrize("at", [0.0, 0.003, 0.01, 0.017, 0.02])
def test_the_first_packet_plays_after_20_to_40_ms(at: float) -> None:
    voice = Voice()
    voice.tick(3)
    voice.packet(0, at)
    wait = 0.0
    while not voice.started[-1]:
        voice.tick()
        wait += TICK
    assert voice.heard[-1] == 1
    assert 0.02 - 1e-9 <= at + wait - TICK <= 0.04 + 1e-9
    assert not any(voice.missing)


def test_a_packet_before_the_row_ever_played_waits_as_long() -> None:
    """When the row plays is not known yet: it may be at once."""
    voice = Voice()
    voice.packet(0, TICK)
    for k in range(1, 4):
        voice.tick()
        voice.packet(k, TICK)
    assert voice.heard == [0, 1, 2]
    assert voice.delay >= voice.bank.n


def test_the_first_packet_lies_on_a_frame_boundary_and_positions_follow_it_over_the_wrap() -> None:
    voice = Voice()
    voice.tick(5)
    first = voice.packet(0)
    assert first % 160 == 0
    for k in range(1, 30):
        assert voice.packet(k) == first + 160 * k
        voice.tick()
    assert voice.lost == 0
    assert not any(voice.missing)


def test_a_row_before_its_first_packet_is_silent_and_misses_nothing() -> None:
    voice = Voice()
    voice.tick(50)
    assert voice.heard == [0] * 50
    assert not any(voice.started)
    assert not any(voice.missing)
    assert (voice.concealed, voice.missed, voice.lost) == (0, 0, 0)


def test_a_packet_from_before_the_first_one_still_plays() -> None:
    voice = Voice()
    voice.tick(3)
    voice.packet(1, 0.012)
    voice.packet(0, 0.011)
    for k in range(2, 8):
        voice.tick()
        voice.packet(k)
    voice.tick()
    assert values(voice)[:3] == [1, 2, 3]
    assert voice.lost == 0


# ---- clocks and packet lengths


@pytest.mark.parametrize(
    ("rate", "clock"), [(8000, 8000), (16000, 8000), (8000, 48000), (48000, 48000), (16000, 48000)]
)
def test_positions_count_samples_of_the_bank_whatever_the_rtp_clock(rate: int, clock: int) -> None:
    voice = running(30, rate=rate, clock=clock)
    assert values(voice)[:20] == list(range(1, 21))
    assert voice.lost == voice.late == voice.resyncs == 0
    assert not any(voice.missing)


@pytest.mark.parametrize("ms", [10, 20, 30, 40, 60])
def test_packets_of_any_length(ms: int) -> None:
    voice = Voice(size=8 * ms)
    voice.tick(3)
    sent = 0
    for tick in range(60):
        while sent * ms <= tick * 20:
            voice.packet(sent, 0.01)
            sent += 1
        voice.tick()
    assert voice.lost == voice.late == 0
    assert not any(voice.missing)
    if ms >= 20 and ms % 20 == 0:
        assert values(voice)[:10] == list(range(1, 11))


def test_packets_off_the_frame_boundaries_are_written_sample_by_sample() -> None:
    voice = running(10)
    # 37 samples were left out by the sender: what follows lies 37 samples on.
    for k in range(10, 20):
        voice.packet(k, 0.01, jump=37)
        voice.now += TICK
        played = voice.bank.play(voice.rows, voice.now)
    assert sorted(set(played.frames[0].tolist())) == [18, 19]
    assert np.count_nonzero(played.frames[0] == 18) == 37


def test_write_leaves_out_what_was_due_and_what_does_not_fit() -> None:
    bank = PlayoutBank(8000)
    row = bank.take()
    rows = np.array([row])
    for _ in range(3):
        bank.play(rows, 1.0 + _)
    samples = np.full((1, 320), 7, np.int16)
    bank.write(rows, np.array([2 * 160]), samples)
    bank.write(rows, np.array([-1]), samples)
    bank.write(rows, np.array([(3 + 63) * 160 - 40]), samples)
    ring = bank.columns.ring[row]
    assert np.count_nonzero(ring != MISSING) == 160 + 200
    assert (ring[3] == 7).all()


def test_a_decoder_that_gives_the_sentinel_is_clipped() -> None:
    bank = PlayoutBank(8000)
    row = bank.take()
    bank.write(np.array([row]), np.array([0]), np.full((1, 160), MISSING, np.int16))
    assert (bank.columns.ring[row, 0] == -32767).all()


# ---- loss, duplicates, reordering


def test_a_lost_packet_is_reported_missing_and_counted_once() -> None:
    voice = running(20)
    voice.tick()  # packet 20 never comes
    voice.run(range(21, 30))
    assert voice.missing.count(True) == 1
    assert (voice.lost, voice.missed, voice.bursts, voice.concealed) == (1, 1, 1, 160)
    assert voice.inserted == 0


def test_half_a_frame_missing_is_reported_with_its_holes() -> None:
    voice = Voice(size=80)
    voice.tick(3)
    for k in range(0, 40, 2):
        voice.packets([k] if k == 20 else [k, k + 1], 0.01)
        voice.now += TICK
        played = voice.bank.play(voice.rows, voice.now)
        if played.missing[0]:
            assert played.holes.shape == (1, 160)
            assert played.holes[0, 80:].all()
            assert not played.holes[0, :80].any()
            assert (played.frames[0, 80:] == 0).all()
            break
    else:
        raise AssertionError("nothing was missing")
    assert voice.concealed == 80


def test_duplicates_are_counted_and_not_written() -> None:
    voice = running(10)
    assert voice.packet(10) >= 0
    assert voice.packet(10) == -1
    assert voice.packet(9) == -1
    assert voice.packets([11, 11, 12]).count(-1) == 1
    assert (voice.duplicate, voice.received, voice.lost) == (3, 13, 0)


def test_a_packet_further_behind_than_duplicates_are_remembered_counts_as_one() -> None:
    voice = running(100)
    received = voice.received
    assert voice.packets([100 - SEEN - 1, 100 - SEEN - 1, 20]) == [-1, -1, -1]
    assert (voice.received, voice.duplicate, voice.lost) == (received, 3, 0)
    # As far back as is remembered they are told apart.
    voice.packet(101)
    assert voice.lost == 1
    assert voice.packets([101 - SEEN + 1, 100, 100]).count(-1) >= 2
    assert (voice.duplicate, voice.lost) == (5, 0)


def test_packets_out_of_order_play_in_order() -> None:
    voice = running(20)
    voice.packets([22, 20, 21], 0.01)
    voice.tick(3)
    voice.run(range(23, 30))
    assert values(voice) == list(range(1, max(values(voice)) + 1))
    assert (voice.lost, voice.late, voice.duplicate) == (0, 0, 0)


def test_several_packets_of_a_row_in_a_batch_beside_other_rows() -> None:
    bank = PlayoutBank(8000)
    first, second = Voice(bank=bank), Voice(bank=bank)
    rows = np.array([first.row, second.row, first.row, first.row, second.row])
    stamps = np.array([0, 4000, 160, 320, 4160])
    seqs = np.array([5, 9, 6, 7, 10])
    positions = bank.arrived(rows, stamps, seqs, np.zeros(5, np.bool_), np.full(5, 160), 1.0)
    assert np.diff(positions[[0, 2, 3]]).tolist() == [160, 160]
    assert positions[4] - positions[1] == 160


def test_a_flood_of_one_row_is_bounded() -> None:
    voice = running(10)
    positions = voice.packets(list(range(10, 410)))
    # What follows on is taken as far as the ring reaches; what is beyond begins anew, so that the newest is heard.
    assert len([place for place in positions if place >= 0]) <= RING
    voice.tick(20)
    assert values(voice)[-1] == 410
    assert voice.resyncs <= 400 // RING + 1


# ---- late


def test_where_nothing_was_heard_since_a_late_packet_was_due_play_goes_back_to_it() -> None:
    voice = running(20)
    while voice.top > voice.head * 160:
        voice.tick()
    heard = len(voice.heard)
    voice.tick(2)
    for k in range(20, 40):
        voice.packet(k, 0.015)
        voice.tick()
    assert values(voice)[-15:] == list(range(values(voice)[-1] - 14, values(voice)[-1] + 1))
    assert voice.missing[heard : heard + 2] == [True, True]
    # The delay has grown by the two frames; nothing was lost and nothing came too late.
    assert (voice.inserted, voice.late, voice.lost, voice.missed) == (2, 0, 0, 0)
    assert voice.concealed == 320


def test_a_packet_late_behind_others_is_dropped_and_lets_the_delay_grow() -> None:
    voice = running(20)
    voice.packet(21, 0.01)
    voice.tick()
    voice.run(range(22, 26))
    before = voice.delay
    assert voice.packet(20, 0.01) == -1
    assert voice.late == 1
    voice.run(range(26, 60))
    assert voice.inserted == 2  # one late packet may not ask for more
    assert voice.delay >= before + 160
    assert voice.lost == 0


def test_the_delay_never_grows_beyond_its_maximum() -> None:
    rng = np.random.default_rng(3)
    voice = Voice()
    voice.tick(3)
    arrivals = sorted((k * TICK + rng.exponential(0.15), k) for k in range(1500))
    at = 0
    for tick in range(1500):
        while at < len(arrivals) and arrivals[at][0] <= tick * TICK:
            voice.packet(arrivals[at][1], tick * TICK - arrivals[at][0])
            at += 1
        voice.tick()
        assert voice.delay <= (MAX_DELAY_SECONDS + 0.1) * 8000
    assert voice.inserted > 0


def test_packets_late_one_after_another_move_the_timeline() -> None:
    voice = running(100)
    # The sender's timestamps fall back by 0.7 s, too little to be unbelievable.
    for k in range(100, 130):
        voice.packet(k, 0.01, jump=-5600)
        voice.tick()
    assert voice.resyncs == 1
    assert voice.late == LATE_RUN - 1
    assert values(voice)[-10:] == list(range(values(voice)[-1] - 9, values(voice)[-1] + 1))


# ---- jumps, spurts, sources


@pytest.mark.parametrize("jump", [800000, -800000, 16000, 0x7FFFFFF0])
def test_a_timestamp_jump_is_followed_when_a_second_packet_confirms_it(jump: int) -> None:
    voice = running(100)
    assert voice.packet(100, 0.01, jump=jump) == -1
    voice.tick()
    assert voice.packet(101, 0.01, jump=jump) >= 0
    voice.tick()
    for k in range(102, 120):
        voice.packet(k, 0.01, jump=jump)
        voice.tick()
    assert (voice.resyncs, voice.strange) == (1, 1)
    assert values(voice)[-5:] == list(range(values(voice)[-1] - 4, values(voice)[-1] + 1))


def test_a_marked_packet_next_in_sequence_is_followed_at_once() -> None:
    voice = running(50)
    assert voice.packet(50, 0.01, jump=500000, mark=True) >= 0
    assert (voice.resyncs, voice.strange) == (1, 0)


def test_packets_older_than_one_that_waits_do_not_move_the_timeline() -> None:
    voice = running(50)
    assert voice.packet(55, 0.01) >= 0
    # Two that agree with each other, but 55 came from the same sender after them.
    assert voice.packet(52, 0.01, jump=500000) == -1
    assert voice.packet(53, 0.01, jump=500000) == -1
    assert voice.packet(54, 0.01) >= 0
    voice.run(range(56, 70))
    assert (voice.resyncs, voice.strange) == (0, 2)
    heard = values(voice)
    assert heard == sorted(heard)


def test_an_older_packet_that_is_not_believed_does_not_spoil_a_jump() -> None:
    voice = running(50)
    assert voice.packet(51, 0.01, jump=500000) == -1
    assert voice.packet(50, 0.01, jump=500000) == -1
    assert voice.packet(52, 0.01, jump=500000) >= 0
    assert (voice.resyncs, voice.strange) == (1, 2)


def test_what_came_in_the_same_batch_before_a_jump_that_empties_the_row_is_not_written() -> None:
    voice = running(20)
    voice.packets(list(range(20, 34)), 0.01)  # more than the largest delay
    assert voice.packet(40, 0.01, jump=800000) == -1
    rows, steps = np.full(3, voice.row), np.array([34, 35, 41])
    jumps = np.array([0, 0, 800000])
    positions = voice.bank.arrived(
        rows,
        (voice.stamp + steps * 160 + jumps) & 0xFFFFFFFF,
        (voice.seq + steps) & 0xFFFF,
        np.zeros(3, np.bool_),
        np.full(3, 160),
        voice.now + 0.01,
    )
    assert positions[:2].tolist() == [-1, -1]
    assert positions[2] >= voice.head * 160
    assert (voice.resyncs, voice.emptied) == (1, 1)
    assert (voice.bank.columns.ring[voice.row] == MISSING).all()


def test_one_insane_packet_shifts_nothing() -> None:
    voice = running(50)
    for k in range(50, 80):
        if k % 10 == 5:
            assert voice.packet(k, 0.01, jump=123456 * k) == -1
        else:
            assert voice.packet(k, 0.01) >= 0
        voice.tick()
    assert (voice.resyncs, voice.strange) == (0, 3)


def test_packets_beyond_the_ring_are_not_written() -> None:
    voice = running(10)
    assert voice.packet(10, jump=160 * 100) == -1
    assert voice.top <= (voice.head + 64) * 160


def test_after_silence_the_row_idles_and_loses_nothing() -> None:
    voice = running(50)
    voice.tick(100)
    assert not any(voice.started[-80:])
    assert not any(voice.missing[-80:])
    assert sum(voice.missing) == IDLE_FRAMES
    # It comes back: its timestamps went on through the silence, its sequence did not (RFC 3550 5.1).
    for k in range(150, 170):
        voice.packet(k, 0.01, seq=k - 100, mark=k == 150)
        voice.tick()
    assert (voice.lost, voice.missed, voice.concealed, voice.late, voice.resyncs) == (0, 0, 0, 0, 0)
    assert values(voice)[-5:] == list(range(values(voice)[-1] - 4, values(voice)[-1] + 1))


def test_a_peer_whose_timestamps_stood_still_in_silence_is_taken_up_again_at_once() -> None:
    voice = running(50)
    voice.tick(100)
    for k in range(50, 70):
        assert voice.packet(k, 0.01) >= 0
        voice.tick()
    assert voice.resyncs == 1
    assert (voice.lost, voice.missed, voice.late) == (0, 0, 0)
    assert 50 in values(voice)
    assert 51 in values(voice)


def test_a_short_pause_without_a_gap_in_sequence_is_no_loss() -> None:
    voice = running(50)
    voice.tick(5)
    for k in range(55, 70):
        voice.packet(k, 0.01, seq=k - 5, mark=k == 55)
        voice.tick()
    assert (voice.lost, voice.missed, voice.concealed) == (0, 0, 0)


def test_packets_without_audio_keep_the_sequence_whole() -> None:
    voice = running(50)
    none = np.zeros(1, np.bool_)
    for k in range(50, 55):
        position = voice.bank.arrived(
            voice.rows, np.array([0]), np.array([(voice.seq + k) & 0xFFFF]), none, np.array([0]), voice.now
        )
        assert position.tolist() == [-1]
        voice.tick()
    voice.run(range(55, 70))
    assert (voice.lost, voice.missed, voice.resyncs, voice.strange) == (0, 0, 0, 0)


def test_another_ssrc_begins_anew_and_what_is_buffered_still_plays() -> None:
    voice = running(50)
    voice.packet(50, 0.01)
    voice.bank.reset(voice.row)
    voice.tick()
    voice.stamp, voice.seq = 5, 40000
    voice.run(range(51, 70))
    assert 51 in values(voice)
    assert values(voice)[-5:] == list(range(values(voice)[-1] - 4, values(voice)[-1] + 1))
    assert (voice.lost, voice.late, voice.resyncs) == (0, 0, 0)


def test_a_leap_in_sequence_is_no_loss_of_thousands() -> None:
    voice = running(50)
    voice.seq += 20000
    voice.run(range(50, 70))
    assert voice.lost == 0


# ---- the delay


def test_the_delay_shrinks_by_whole_frames_where_it_is_silent() -> None:
    voice = Voice()
    voice.loudness = 0
    voice.tick(3)
    voice.run(range(10), 0.01)
    voice.tick(5)
    voice.packets(list(range(10, 16)), 0.01)
    voice.tick()
    grown = voice.inserted
    assert grown >= 3
    voice.run(range(16, 900), 0.01)
    assert voice.dropped >= grown - 1
    assert voice.late == voice.lost == 0


def test_a_delay_that_never_finds_silence_shrinks_by_force_after_long() -> None:
    voice = Voice()
    voice.tick(3)
    rows = voice.rows
    loud = np.tile(np.array([[5000, -5000]], np.int16), (1, 80))
    counts, none = np.array([160]), np.zeros(1, np.bool_)
    dropped_at = None
    for tick in range(2000):
        # The sender sends half a second at once, then in time: 460 ms too early.
        ks = range(5) if tick == 0 else [tick + 4]
        for k in ks:
            at = voice.bank.arrived(rows, np.array([k * 160]), np.array([k & 0xFFFF]), none, counts, voice.now + 0.01)
            voice.bank.write(rows, at, loud)
        voice.now += TICK
        voice.bank.play(rows, voice.now)
        if voice.dropped and dropped_at is None:
            dropped_at = tick
    assert dropped_at is not None
    assert dropped_at > 500
    assert voice.dropped >= 2
    assert voice.missed == 0


def test_above_its_maximum_the_delay_shrinks_in_haste() -> None:
    voice = Voice()
    voice.tick(3)
    voice.packets(list(range(30)), 0.01)
    for k in range(30, 150):
        voice.packet(k, 0.01)
        voice.tick()
    assert voice.bank.delay_ms(voice.rows)[0] <= MAX_DELAY_SECONDS * 1000 + 40
    assert voice.dropped >= 15
    assert voice.late == voice.lost == 0


def test_a_stalled_network_loses_nothing_once_it_delivers() -> None:
    voice = running(100)
    voice.tick(8)
    voice.packets(list(range(100, 108)), 0.01)
    voice.run(range(108, 250))
    assert (voice.lost, voice.late, voice.missed) == (0, 0, 0)
    assert voice.inserted >= 5


def test_until_and_wanted_tell_what_is_read_next() -> None:
    voice = running(20)
    assert voice.bank.until(voice.rows).tolist() == [voice.head * 160]
    assert voice.bank.wanted(voice.rows).tolist() == [(voice.head + 1) * 160]
    voice.bank.columns.spare[voice.row] = 1
    assert voice.bank.wanted(voice.rows).tolist() == [(voice.head + 2) * 160]


# ---- rows


def test_columns_grow_and_keep_what_they_hold() -> None:
    voice = running(10)
    others = [voice.bank.take() for _ in range(40)]
    assert len({voice.row, *others}) == 41
    assert voice.bank.rows == 41
    voice.run(range(10, 30))
    assert values(voice) == list(range(1, max(values(voice)) + 1))
    for row in others:
        voice.bank.free(row)
    assert voice.bank.rows == 1


def test_a_row_freed_twice_and_a_rate_of_none_are_refused() -> None:
    bank = PlayoutBank(8000)
    row = bank.take()
    bank.free(row)
    with pytest.raises(ValueError, match="not taken"):
        bank.free(row)
    with pytest.raises(ValueError, match="11025"):
        PlayoutBank(11025)
    with pytest.raises(ValueError, match="clock"):
        bank.open(bank.take(), 0)


def test_a_row_opened_again_knows_nothing_of_before() -> None:
    voice = running(30)
    voice.bank.open(voice.row, 8000)
    assert (voice.received, voice.head, voice.seq_top) == (0, 0, -1)
    assert (voice.bank.columns.ring[voice.row] == MISSING).all()


# ---- clocks that drift


def test_an_hours_drift_of_200_ppm_either_way_within_12_minutes_neither_starves_nor_swells() -> None:
    """60 ms packets from clocks that are 1000 ppm fast, 1000 ppm slow, 500 ppm fast and right: five times what clocks
    of telephones have at worst."""
    bank = PlayoutBank(8000)
    drifts = np.array([1000e-6, -1000e-6, 500e-6, 0.0])
    rows = np.array([bank.take() for _ in drifts])
    for row in rows:
        bank.open(int(row), 8000)
    sent: np.ndarray[tuple[int], np.dtype[np.int64]] = np.zeros(4, np.int64)
    period = 0.06 / (1 + drifts)
    none, counts = np.zeros(4, np.bool_), np.full(4, 480)
    samples = np.full((4, 480), 50, np.int16)
    worst = np.zeros(4)
    for tick in range(36_000):
        now = 10.0 + tick * TICK
        due = np.flatnonzero(sent * period <= tick * TICK)
        if due.size:
            seqs, stamps = sent[due] & 0xFFFF, sent[due] * 480 & 0xFFFFFFFF
            at = bank.arrived(rows[due], stamps, seqs, none[due], counts[due], now)
            bank.write(rows[due], at, samples[due], bounded=True)
            sent[due] += 1
        bank.play(rows, now)
        if tick % 500 == 0:
            worst = np.maximum(worst, bank.delay_ms(rows))
    c = bank.columns
    assert c.late[rows].tolist() == c.resyncs[rows].tolist() == bank.lost(rows).tolist() == [0, 0, 0, 0]
    assert worst.max() < 100.0
    # 0.72 s are 36 frames: so many were dropped from the fast one and inserted for the slow one.
    assert 34 <= c.dropped[rows[0]] - c.inserted[rows[0]] <= 38
    assert 34 <= c.inserted[rows[1]] - c.dropped[rows[1]] <= 38
    assert 16 <= c.dropped[rows[2]] - c.inserted[rows[2]] <= 20
