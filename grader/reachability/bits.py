"""Sets as integers, one bit a thing; sets of labelled things from an index of their labels."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING

from grader.calico.selectors import Compare, Junction, Negation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from grader.calico.selectors import Expression
    from grader.kube.model import LabelSelector, Requirement

Bits = int
"""A set: bit i stands for the thing in place i."""

_TRUTH = bytes.maketrans(b"01", b"\0\1")
_DENSE = 40
"""From so many members on, looking at every place is quicker than looking for the next member."""


def members(bits: Bits) -> Sequence[int]:
    """Return the places of a set, lowest first."""
    if bits.bit_count() > _DENSE:
        digits = format(bits, "b")[::-1].encode().translate(_TRUTH)
        return list(compress(range(len(digits)), digits))
    found = []
    while bits:
        low = bits & -bits
        found.append(low.bit_length() - 1)
        bits ^= low
    return found


def transposed(rows: Iterable[tuple[Bits, Bits]], width: int) -> dict[int, Bits]:
    """Return for each place the union of the row sets that have it: `rows` pairs a set of rows with its places.

    Places that no row has are left out.
    """
    listed = [(sources, places) for sources, places in rows if sources and places]
    found: dict[int, Bits] = {}
    height = max((sources.bit_length() for sources, _ in listed), default=0)
    if sum(places.bit_count() for _, places in listed) * 16 <= height * width:
        for sources, places in listed:
            for place in members(places):
                found[place] = found.get(place, 0) | sources
        return found
    # Many: as one text of digits, in which every column is a slice.
    empty = "0" * width
    lines = [empty] * height
    for sources, places in listed:
        line = format(places, f"0{width}b")
        for source in members(sources):
            lines[source] = line
    digits = "".join(reversed(lines))
    for place in range(width):
        if column := int(digits[width - 1 - place :: width], 2):
            found[place] = column
    return found


class Labels:
    """Which things have which labels."""

    def __init__(self, labelled: Iterable[tuple[Bits, Mapping[str, str]]]) -> None:
        self.everyone: Bits = 0
        self._keys: dict[str, Bits] = {}
        self._pairs: dict[tuple[str, str], Bits] = {}
        self._values: dict[str, dict[str, None]] = {}
        for bits, labels in labelled:
            self.everyone |= bits
            for pair in labels.items():
                self._pairs[pair] = self._pairs.get(pair, 0) | bits
                self._keys[pair[0]] = self._keys.get(pair[0], 0) | bits
                self._values.setdefault(pair[0], {})[pair[1]] = None

    def matching(self, selector: LabelSelector) -> Bits:
        """Return those that satisfy every requirement."""
        bits = self.everyone
        for requirement in selector.requirements:
            bits &= self._holding(requirement)
        return bits

    def _holding(self, requirement: Requirement) -> Bits:
        key = requirement.key
        match requirement.operator:
            case "In":
                return self._one_of(key, requirement.values)
            case "NotIn":
                return self.everyone & ~self._one_of(key, requirement.values)
            case "Exists":
                return self._keys.get(key, 0)
            case _:
                return self.everyone & ~self._keys.get(key, 0)

    def _one_of(self, key: str, values: Iterable[str]) -> Bits:
        bits = 0
        for value in values:
            bits |= self._pairs.get((key, value), 0)
        return bits

    def satisfying(self, expression: Expression) -> Bits:
        """Return those that satisfy a selector of Calico."""
        match expression:
            case Compare():
                bits = self._one_of(
                    expression.key,
                    (v for v in self._values.get(expression.key, ()) if expression.matches({expression.key: v})),
                )
                absent = self.everyone & ~self._keys.get(expression.key, 0)
                return bits | (absent if expression.matches({}) else 0)
            case Negation():
                return self.everyone & ~self.satisfying(expression.operand)
            case Junction():
                every = expression.word == "&&"
                bits = self.everyone if every else 0
                for operand in expression.operands:
                    found = self.satisfying(operand)
                    bits = bits & found if every else bits | found
                return bits
            case _:
                return self.everyone
