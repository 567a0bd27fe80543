"""Journals of the ACD in files."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import softswitch.store.acd_journal_file as journal_file
from acd import facts as f
from acd import inputs as i
from acd.journal import JournalError, encode
from softswitch.store.acd_journal_file import message_end, read_file
from tests.unit.acd.kpi.floor import Floor


@pytest.fixture
def floor() -> Floor:
    floor = Floor()
    floor.at(0, i.SignIn("ann"), i.Enqueue("c1", "help", "555"))
    floor.answer(10, "ann")
    floor.at(60, i.Finish("c1", "ann"), i.Ready("ann"))
    return floor


def write(path: Path, records: list[f.Record]) -> list[bytes]:
    lines = list(map(encode, records))
    path.write_bytes(b"".join(lines))
    return lines


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_records_come_back_as_they_were(tmp_path: Path, floor: Floor, chunk: int, monkeypatch: Any) -> None:
    """However the file is read: octet by octet, or whole."""
    monkeypatch.setattr(journal_file, "CHUNK", chunk)
    write(tmp_path / "j", floor.records)
    assert list(read_file(tmp_path / "j")) == floor.records


def test_an_empty_journal_has_no_records(tmp_path: Path) -> None:
    write(tmp_path / "j", [])
    assert list(read_file(tmp_path / "j")) == []


values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.sampled_from(["x" * 40, "y" * 300, "z" * 70_000, b"b" * 300, b"c" * 70_000])
    | st.builds(msgspec.msgpack.Ext, st.integers(0, 9), st.sampled_from([b"a" * n for n in (1, 2, 4, 8, 16, 3, 300)])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.just([1] * 70_000) | st.just([0] * 20),
    max_leaves=10,
)


@given(values, st.binary(max_size=3))
def test_the_end_of_every_message_is_found(value: Any, after: bytes) -> None:
    message = msgspec.msgpack.encode(value)
    assert message_end(b"\xc0" + message + after, 1) == 1 + len(message)
    assert message_end(message[:-1], 0) == -1


@given(st.binary(max_size=40))
def test_any_octets_have_an_end_or_none_or_are_no_message(data: bytes) -> None:
    try:
        end = message_end(data, 0)
    except ValueError:
        return
    assert end == -1 or 0 < end <= len(data)


def problem(path: Path) -> str:
    with pytest.raises(JournalError) as error:
        list(read_file(path))
    return str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert problem(tmp_path / "none") == "No such file or directory"


def test_a_record_that_is_cut_off_is_left_out(tmp_path: Path, floor: Floor) -> None:
    path = tmp_path / "j"
    path.write_bytes(b"".join(write(path, floor.records[:3]))[:-1])
    assert list(read_file(path)) == floor.records[:2]


def test_what_is_no_record(tmp_path: Path, floor: Floor) -> None:
    path = tmp_path / "j"
    lines = write(path, floor.records[:2])
    path.write_bytes(b"".join(lines) + msgspec.msgpack.encode([3, 0.0, 0, {"type": "Nothing"}]))
    found = problem(path)
    assert found.startswith(f"record 3, at octet {sum(map(len, lines))}: no record of the journal: ")
    assert "Nothing" in found


def test_what_is_no_msgpack(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b"\xc1")
    assert problem(path) == "record 1, at octet 0: octet 0xc1 begins nothing: expected msgpack"


def test_a_text_file(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_text("id,time\n1,2\n")
    assert "record 1, at octet 0: no record of the journal" in problem(path)


def test_a_record_of_endless_depth(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b"\x94\x01\xcb" + bytes(8) + b"\x00" + b"\x82\xa4type\xa5Ended\xa1x" + b"\x91" * 100_000 + b"\x00")
    assert "record 1, at octet 0: no record of the journal" in problem(path)


@given(st.data())
def test_a_journal_with_wrong_octets_is_read_or_refused(data: st.DataObject) -> None:
    floor = Floor()
    floor.at(0, i.SignIn("ann"), i.Enqueue("c1", "help", "555"))
    octets = bytearray(b"".join(map(encode, floor.records)))
    for _ in range(data.draw(st.integers(1, 3))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.NamedTemporaryFile() as file:
        file.write(octets)
        file.flush()
        with suppress(JournalError):
            assert len(list(read_file(Path(file.name)))) <= len(octets)


def test_records_out_of_order(tmp_path: Path, floor: Floor) -> None:
    path = tmp_path / "j"
    write(path, [*floor.records[:3], floor.records[1]])
    assert problem(path).endswith("id 2 after 3: expected ids that count up")


def test_a_record_without_end(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(journal_file, "MAX_RECORD", 100)
    monkeypatch.setattr(journal_file, "CHUNK", 50)
    path = tmp_path / "j"
    path.write_bytes(b"\xc6\xff\xff\xff\xff" + bytes(200))
    assert problem(path) == "record 1, at octet 0: longer than 100 octets: expected a record"
