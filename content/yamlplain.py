"""A quick way through the YAML that machines write: block mappings and lists of plain words, over and over the same.

A cluster's dump holds the same labels and containers once for every replica. Here a block is looked up by its text
before it is read, so that only what differs costs time, and equal blocks become one value. Whatever is not of the
simplest form (anchors, tags, block scalars, escapes, comments behind values, words over several lines) raises
`NotPlain` and is left to `yamlreader`, whose values these are, for every text that is accepted here.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from content.errors import BrokenContentError
from content.scalars import WORDS, resolve
from content.yamlreader import Limits, Reader

DEEPEST = 24
"""Nesting that is read here; far more than manifests have."""
LONGEST = 4096
"""Characters of a word that is read here."""
REMEMBERED = 100_000
"""Blocks that are kept; after that many it starts again, as what was unlike the others only fills memory."""

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,250}")
_BEGINS_ENTRY = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,250}:(?=[ \n]|\Z)")
_WORD = re.compile(
    # No indicator first; later no colon before a space or the end, and no space at the end or before a #.
    r"(?:[A-Za-z0-9_./~+(^$=;<]|-(?=[^ \n]))"
    r"(?:[A-Za-z0-9_./~+()^$=;,@%*&!?|<>\\'\"{}\[\]`-]|:(?=[^ \n])| (?=[^ #\n])|(?<=[^ ])\#)*"
)
_QUOTED = re.compile(r"\"([^\"\\]*)\"|'([^']*)'")
_BLANK = re.compile(r"(?:^|\n)[ ]*(?:#[^\n]*)?(?=\n|\Z)")

ITEMS = "\nitems:\n- "
"""How the objects of a list begin."""

Counted = tuple[Any, int]
"""A value, and how many scalars, lists and mappings it holds, itself included."""


class NotPlain(Exception):  # noqa: N818 - no error: the other reader takes over
    """The text is not of the simplest form, or is no YAML at all."""


@cache
def _entries(indent: int) -> re.Pattern[str]:
    """Where the next key of a mapping at this indentation begins; its lists may stand at the same indentation."""
    return re.compile(rf"\n {{{indent}}}(?=[^ \-]|-[^ \n])")


class PlainReader:
    """Reads block by block, and knows again what it has read. Its values share parts: they are for reading only."""

    def __init__(self) -> None:
        self._known: dict[int, dict[str, tuple[str, Counted]]] = {}
        self._keys: set[str] = set()
        self._scalars: dict[str, Counted] = {}
        self._room = REMEMBERED

    def document(self, text: str) -> Counted:
        """Return the mapping that a document is; None where there is nothing but comments.

        Raises:
            NotPlain: another reader must tell what it is.
        """
        if not text.isascii() or "\t" in text:
            raise NotPlain
        if "#" in text or "\n\n" in text or text[:1] in ("\n", " "):
            text = _BLANK.sub("", text).removeprefix("\n")
        text = text.rstrip("\n")
        return self._mapping(text, 0, 0) if text else (None, 1)

    def listed(self, text: str) -> tuple[Counted, list[tuple[Any, int]]]:
        """Return a list of objects without its `items`, and these apart, each with its line (from 0).

        Raises:
            NotPlain: another reader must tell what it is.
        """
        begin = 0 if text.startswith(ITEMS[1:]) else text.index(ITEMS) + 1
        end = _entries(0).search(text, begin)
        items = text[begin : end.start() if end else len(text)].rstrip("\n")
        around, count = self.document(text[:begin] + (text[end.end() :] if end else ""))
        if not items.isascii() or "\t" in items or _BLANK.search(items) or "items" in (around or {}):
            raise NotPlain
        found = []
        line = text.count("\n", 0, begin) + 1
        for part in items[len(ITEMS) - 1 :].split("\n- "):
            value, values = self._item(part, 0, 1)
            found.append((value, line))
            count += values
            line += part.count("\n") + 1
        return (around or {}, count), found

    def _mapping(self, text: str, indent: int, depth: int) -> Counted:
        """A mapping, without the spaces before its first key."""
        if depth > DEEPEST:
            raise NotPlain
        found: dict[str, Any] = {}
        count = 1
        known, keys, scalars = self._known.setdefault(indent, {}), self._keys, self._scalars
        for part in _entries(indent).split(text):
            if "\n" in part:
                entry = known.get(part)
                if entry is None:
                    entry = known[part] = self._block(part, indent, depth)
                    self._remember()
                key, (value, values) = entry
            else:
                key, colon, rest = part.partition(": ")
                if colon:
                    value, values = scalars.get(rest) or self._scalar(rest)
                elif part.endswith(":"):
                    key, value, values = part[:-1], None, 1
                else:
                    raise NotPlain
                if key not in keys:
                    self._new_key(key)
            if key in found:
                raise NotPlain
            found[key] = value
            count += values + 1
        return found, count

    def _remember(self) -> None:
        self._room -= 1
        if not self._room:
            for each in self._known.values():
                each.clear()
            self._scalars.clear()
            self._room = REMEMBERED

    def _new_key(self, key: str) -> None:
        if not _KEY.fullmatch(key) or key in WORDS:
            raise NotPlain
        self._keys.add(key)

    def _block(self, text: str, indent: int, depth: int) -> tuple[str, Counted]:
        """A key with what stands below it."""
        head, _, rest = text.partition("\n")
        key = head[:-1]
        if not head.endswith(":"):
            raise NotPlain
        if key not in self._keys:
            self._new_key(key)
        inner = len(rest) - len(rest.lstrip(" "))
        body = rest[inner:]
        if body.startswith("- "):
            if inner < indent:
                raise NotPlain
            return key, self._sequence(body, inner, depth + 1)
        if inner <= indent:
            raise NotPlain
        return key, self._mapping(body, inner, depth + 1)

    def _sequence(self, text: str, indent: int, depth: int) -> Counted:
        """A list, without the spaces before its first dash."""
        if depth > DEEPEST:
            raise NotPlain
        found = []
        count = 1
        for part in text[2:].split(f"\n{' ' * indent}- "):
            value, values = self._item(part, indent, depth + 1)
            found.append(value)
            count += values
        return found, count

    def _item(self, text: str, indent: int, depth: int) -> Counted:
        """What follows a dash and a space."""
        if _BEGINS_ENTRY.match(text):
            return self._mapping(text, indent + 2, depth)
        return self._scalar(text)

    def _scalar(self, text: str) -> Counted:
        found = self._scalars.get(text)
        if found is None:
            self._remember()
            found = self._scalars[text] = _read_scalar(text)
        return found


def _read_scalar(text: str) -> Counted:
    """A word, or a collection in brackets that ends on its line."""
    if len(text) > LONGEST:
        raise NotPlain
    if _WORD.fullmatch(text):
        return resolve(text), 1
    if quoted := _QUOTED.fullmatch(text):
        return quoted[1] if quoted[1] is not None else quoted[2], 1
    if text[:1] not in ("{", "[") or "\n" in text:
        raise NotPlain
    reader = Reader(text, _INLINE, _INLINE_LIMITS)
    try:
        (document,) = reader.documents()
    except (BrokenContentError, ValueError):
        raise NotPlain from None
    return document.value, reader.nodes


_INLINE = Path("<inline>")
_INLINE_LIMITS = Limits(size=LONGEST, documents=1, nodes=LONGEST, depth=60, scalar=LONGEST, aliased=0)
