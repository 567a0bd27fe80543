"""Where in the file a character of a scalar stands: for texts that have a grammar of their own, as skill expressions.

A text in quotes, with escapes, or over several lines is not what is written. YAML folds blanks and line breaks, so it
is all other characters that are counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from softswitch.settings.syntax import LINE_END
from softswitch.settings.yaml_tree import Mark, Node, Scalar

_BEFORE = re.compile(r"(?:&\S+\s+)?(?P<style>[|>][^\n]*\n|['\"]?)")
_ESCAPE = re.compile(r"\\(?:x(?P<x>..)|u(?P<u>....)|U(?P<U>........)|(?P<one>\r\n|.))", re.DOTALL)
_BLANK_ESCAPES = frozenset(" \t\r\nnrtvf_NLP\x85\u2028\u2029")


def within(node: Node, column: int, otherwise: Mark) -> Mark:
    """The place of the character number `column`, from 1; beyond the end, behind the last one. `otherwise`: where
    `node` is no text."""
    if not isinstance(node, Scalar):
        return otherwise
    text, before = node.text, column - 1
    if not node.source:
        return Mark(node.mark.file, node.mark.line, node.mark.column + min(before, len(text)))
    head = _BEFORE.match(node.source)
    assert head is not None, "it matches the empty text"
    spots = list(_spots(node.source, head.end(), head["style"][:1]))
    count = sum(not character.isspace() for character in text[:before])
    if before < len(text) and count < len(spots):
        at = spots[count][0]
    else:
        at = spots[min(count, len(spots)) - 1][1] if count and spots else head.end()
    lines = LINE_END.split(node.source[:at])
    first = node.mark.column if len(lines) == 1 else 1
    return Mark(node.mark.file, node.mark.line + len(lines) - 1, first + len(lines[-1]))


def _spots(source: str, at: int, style: str) -> Iterator[tuple[int, int]]:
    """Each character that is no blank: where it begins in the source, and where it ends."""
    while at < len(source):
        end, blank = at + 1, source[at].isspace()
        if style == "'" and source[at] == "'":
            if source[end : end + 1] != "'":
                return
            end += 1
        elif style == '"' and source[at] == '"':
            return
        elif style == '"' and (escape := _ESCAPE.match(source, at)) is not None:
            end, blank = escape.end(), _is_blank(escape)
        if not blank:
            yield at, end
        at = end


def _is_blank(escape: re.Match[str]) -> bool:
    """Whether an escape of a text in double quotes stands for a blank, or for nothing."""
    number = escape["x"] or escape["u"] or escape["U"]
    return chr(int(number, 16)).isspace() if number else escape["one"][:1] in _BLANK_ESCAPES
