"""Ports that no rule of a rulebook can tell apart, as one class; sets of classes are integers, one bit a class."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from grader.kube.fields import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grader.policy.model import Endpoint, Ports, Rule
    from grader.reachability.bits import Bits

LAST = 65535


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """Ports of one protocol, both ends included."""

    protocol: str
    low: int
    high: int

    def __str__(self) -> str:
        return f"{self.protocol}/{self.low}" + (f"-{self.high}" if self.high != self.low else "")


class PortClasses:
    """Every port from 1 to 65535 of TCP, UDP and SCTP, by class.

    Args:
        entries: what rules say about ports.
        named: protocol and number of ports that rules mean by name.
    """

    def __init__(self, entries: Iterable[Ports], named: Iterable[tuple[str, int]]) -> None:
        cuts: dict[str, set[int]] = {protocol: {1} for protocol in PROTOCOLS}
        numbered = [entry for entry in entries if not entry.name and entry.protocol in cuts]
        for entry in numbered:
            cuts[entry.protocol] |= {entry.low, entry.high + 1}
        points = set(named)
        for protocol, number in points:
            cuts[protocol] |= {number, number + 1}
        self._starts = {p: sorted(cut for cut in places if 1 <= cut <= LAST) for p, places in cuts.items()}
        classes: dict[tuple[object, ...], int] = {}
        self._samples: list[tuple[str, int]] = []
        self._intervals: list[list[Interval]] = []
        self._class_at: dict[str, list[int]] = {}
        for protocol, starts in self._starts.items():
            own = [entry for entry in numbered if entry.protocol == protocol]
            at = self._class_at[protocol] = []
            for low, end in pairwise([*starts, LAST + 1]):
                meant = tuple(i for i, entry in enumerate(own) if entry.low <= low <= entry.high)
                key = (protocol, low if (protocol, low) in points else 0, meant)
                number = classes.setdefault(key, len(classes))
                if number == len(self._samples):
                    self._samples.append((protocol, low))
                    self._intervals.append([])
                self._intervals[number].append(Interval(protocol, low, end - 1))
                at.append(number)
        self.everything: Bits = (1 << len(self._samples)) - 1
        sizes = [sum(i.high - i.low + 1 for i in parts) for parts in self._intervals]
        self.ordinary: Bits = 1 << sizes.index(max(sizes))
        """The class of most ports, which few rules mean: what holds there holds at most others."""

    def at(self, port: int, protocol: str) -> int:
        """Return the class of a port as a set of one."""
        return 1 << self._class_at[protocol][bisect_right(self._starts[protocol], max(port, 1)) - 1]

    def intervals(self, classes: Bits) -> tuple[Interval, ...]:
        """Return the ports of a set of classes, in order; neighbours are one."""
        found: list[Interval] = []
        for each in sorted(i for n, parts in enumerate(self._intervals) if classes >> n & 1 for i in parts):
            if found and found[-1].protocol == each.protocol and found[-1].high + 1 == each.low:
                found[-1] = Interval(each.protocol, found[-1].low, each.high)
            else:
                found.append(each)
        return tuple(found)

    def meant(self, rule: Rule, destination: Endpoint) -> Bits:
        """Return the classes of ports that a rule means at a destination, from a sender whose own port is not known."""
        found = 0
        for number, (protocol, port) in enumerate(self._samples):
            # What a rule says of senders' ports it says of every sender, as long as the port is not known.
            if rule.matches_port(destination, port, protocol) and rule.matches_source_port(destination, None, protocol):
                found |= 1 << number
        return found


def split(everything: Bits, masks: Iterable[Bits]) -> list[Bits]:
    """Cut a set into parts that no mask cuts any further."""
    parts = [everything]
    for mask in masks:
        for i in range(len(parts)):
            inside = parts[i] & mask
            if inside and inside != parts[i]:
                parts.append(parts[i] ^ inside)
                parts[i] = inside
    return parts
