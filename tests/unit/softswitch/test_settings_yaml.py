"""The YAML tree: text stays text, places are right, and size is bounded (aliases, depth, bytes)."""

from __future__ import annotations

import time

from softswitch.settings import yaml_tree
from softswitch.settings.yaml_tree import Mapping, Mark, Problem, Scalar, place, plain, read_yaml


def read(text: str) -> tuple[Mapping | None, list[Problem]]:
    problems: list[Problem] = []
    return read_yaml(text.encode(), "f.yaml", problems), problems


def test_scalars_stay_the_text_that_is_written() -> None:
    root, problems = read("a: 0101\nb: no\nc: 1e3\nd: '~'\ne: ~\nf:\ng: 0x10\n")
    assert not problems
    assert root is not None
    assert plain(root, {}) == {"a": "0101", "b": "no", "c": "1e3", "d": "~", "e": None, "f": None, "g": "0x10"}


def test_places_of_scalars_collections_and_what_is_missing() -> None:
    root, _ = read("a:\n  b:\n    - x\n    - {c: y}\n")
    assert root is not None
    mark, node = place(root, ("a", "b", 1, "c"))
    assert (mark, node.key) == (Mark("f.yaml", 4, 11), "a.b[1].c")
    mark, node = place(root, ("a", "b"))
    assert (mark, node.key) == (Mark("f.yaml", 2, 3), "a.b")
    mark, node = place(root, ("a", "b", 7, "z"))
    assert (mark, node.key) == (Mark("f.yaml", 2, 3), "a.b")


def test_merge_keys_of_one_and_of_several_anchors() -> None:
    root, problems = read("x: &x {k: 1, l: 2}\ny: &y {l: 3, m: 4}\nz: {<<: [*x, *y], k: 9}\n")
    assert not problems
    assert root is not None
    assert plain(root, {})["z"] == {"k": "9", "l": "2", "m": "4"}


def test_an_alias_stands_where_its_anchor_is_written() -> None:
    root, _ = read("x: &x {k: v}\ny: *x\n")
    assert root is not None
    mark, node = place(root, ("y", "k"))
    assert isinstance(node, Scalar)
    assert mark == Mark("f.yaml", 1, 11)


def test_an_alias_inside_its_own_anchor_is_refused() -> None:
    _, problems = read("x: &x [*x]\n")
    assert [str(problem) for problem in problems] == ["f.yaml:1:8: alias *x: expected an anchor &x before it"]


def test_an_empty_file_and_one_of_comments_are_empty() -> None:
    for text in ("", "# nothing\n", "---\n"):
        root, problems = read(text)
        assert root is not None
        assert not root.entries
        assert not problems


def test_byte_order_mark_and_crlf_are_harmless() -> None:
    problems: list[Problem] = []
    root = read_yaml(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", "f.yaml", problems)
    assert root is not None
    assert plain(root, {}) == {"a": "1", "b": "2"}


def test_alias_bombs_cost_next_to_nothing() -> None:
    """A dozen levels of ten aliases each stand for 10^12 values; THREATS: refused with file, line and column."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    start = time.process_time()
    _, problems = read("\n".join(lines))
    assert time.process_time() - start < 1
    assert len(problems) == 1
    assert problems[0].mark.line == 6
    assert f"more than {yaml_tree.MAX_NODES} values" in problems[0].message


def test_merge_key_bombs_are_bounded_too() -> None:
    lines = ["m0: &m0 {" + ", ".join(f"k{n}: v" for n in range(1000)) + "}"]
    lines += [f"m{n}: &m{n} {{<<: *m{n - 1}}}" for n in range(1, 500)]
    _, problems = read("\n".join(lines))
    assert len(problems) == 1
    assert "aliases expanded" in problems[0].message


def test_depth_is_bounded_in_both_styles() -> None:
    _, flow = read("a: " + "[" * 10_000)
    _, block = read("\n".join("  " * n + "a:" for n in range(200)) + " x")
    assert [problem.message for problem in flow + block] == [f"nested more than {yaml_tree.MAX_DEPTH} deep"] * 2


def test_size_is_bounded() -> None:
    _, problems = read("a: " + "x" * yaml_tree.MAX_FILE_BYTES)
    assert f"expected at most {yaml_tree.MAX_FILE_BYTES}" in problems[0].message


def test_a_key_that_is_no_scalar_is_refused() -> None:
    _, problems = read("? [a, b]\n: c\n")
    assert [str(problem) for problem in problems] == ["f.yaml:1:3: expected a plain key"]


def test_merging_what_is_no_mapping_is_refused() -> None:
    _, problems = read("a: &a [x]\nb: {<<: *a}\n")
    assert [str(problem) for problem in problems] == [
        "f.yaml:2:5: expected a mapping, or a list of mappings, after '<<'"
    ]
