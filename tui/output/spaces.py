"""Groups of endpoints and intervals of ports in words, for every front end that shows rectangles of flows."""

from __future__ import annotations

from ipaddress import ip_network
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from grader.reachability.portclasses import Interval
    from grader.reachability.space import Group, Space

MOST_NAMES = 6
MOST_EXCEPTIONS = 3
ORDER = ("TCP", "UDP", "SCTP")


class Names:
    """Words for the groups of one space; `owners` gives each pod's workload."""

    def __init__(self, space: Space, owners: Mapping[str, str]) -> None:
        self._owners = owners
        self._size: dict[str, int] = {}
        ranges: list[Group] = []
        for group in space.groups:
            if group.outside:
                ranges.append(group)
            for member in group.members:
                owner = owners.get(member, member)
                self._size[owner] = self._size.get(owner, 0) + 1
        self._ranges = len(ranges)
        self._rest = max(ranges, key=_addresses, default=None)

    def listed(self, groups: Iterable[Group]) -> list[str]:
        """Return workloads, and pods by name where only some of a workload are meant, then ranges outside."""
        pods: dict[str, list[str]] = {}
        outside: list[Group] = []
        for group in groups:
            if group.outside:
                outside.append(group)
            else:
                for member in group.members:
                    pods.setdefault(self._owners.get(member, member), []).append(member)
        names = [
            name
            for owner, found in pods.items()
            for name in ([owner] if len(found) == self._size[owner] else sorted(found))
        ]
        if len(outside) == self._ranges > 0:
            return [*sorted(names), "every outside address"]
        return [*sorted(names), *(self._range(group) for group in outside)]

    def _range(self, group: Group) -> str:
        if group is self._rest:
            return "other outside addresses"
        return " ".join(group.members[:3]) + (" …" if len(group.members) > 3 else "")

    def short(self, groups: Iterable[Group]) -> str:
        """Return the names in one line, the first ones where there are many."""
        names = self.listed(groups)
        more = f" and {len(names) - MOST_NAMES + 1} more" if len(names) > MOST_NAMES else ""
        return ", ".join(names if not more else names[: MOST_NAMES - 1]) + more


def _addresses(group: Group) -> int:
    return sum(ip_network(member).num_addresses for member in group.members)


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the same ports in as few intervals as possible."""
    from grader.reachability.portclasses import Interval

    found: list[Interval] = []
    for each in sorted(intervals):
        if found and found[-1].protocol == each.protocol and found[-1].high + 1 == each.low:
            found[-1] = Interval(each.protocol, found[-1].low, each.high)
        else:
            found.append(each)
    return found


def ports_text(intervals: Iterable[Interval]) -> str:
    """Return ports as people write them: `5432/TCP, 53/UDP`, `every port but 80/TCP`, `every port and ping`."""
    found = merged(intervals)
    numbered = [each for each in found if each.protocol != "ICMP"]
    closed = _others(numbered)
    if closed is not None and len(closed) <= MOST_EXCEPTIONS:
        text = "every port" + (f" but {_listed(closed)}" if closed else "")
        return f"{text}{', ' if closed else ' '}and ping" if len(numbered) < len(found) else text
    return ", ".join(part for part in (_listed(numbered), "ping" if len(numbered) < len(found) else "") if part)


def _listed(found: Iterable[Interval]) -> str:
    ordered = sorted(found, key=lambda each: (ORDER.index(each.protocol), each.low))
    return ", ".join(
        f"{','.join(map(_numbers, group))}/{protocol}"
        for protocol, group in groupby(ordered, lambda each: each.protocol)
    )


def _others(found: Sequence[Interval]) -> list[Interval] | None:
    """The ports that are not there; None where a whole protocol is not."""
    from grader.reachability.portclasses import LAST, Interval

    if {each.protocol for each in found} != set(ORDER):
        return None
    gaps: list[Interval] = []
    for protocol in ORDER:
        start = 1
        for each in (*(each for each in found if each.protocol == protocol), Interval(protocol, LAST + 1, LAST + 1)):
            if each.low > start:
                gaps.append(Interval(protocol, start, each.low - 1))
            start = each.high + 1
    return gaps


def _numbers(each: Interval) -> str:
    if (each.low, each.high) == (1, 65535):
        return "every port"
    return str(each.low) if each.low == each.high else f"{each.low}-{each.high}"


def ports_json(intervals: Iterable[Interval]) -> list[dict[str, Any]]:
    """Return intervals for JSON; ICMP has the ports 0 to 0."""
    return [{"protocol": each.protocol, "from": each.low, "to": each.high} for each in merged(intervals)]


def groups_json(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Return groups for JSON: `kind` (`pod`, `node`, `outside`, `host-network`) and `members`: names, or ranges."""
    return [{"kind": group.kind, "members": list(group.members)} for group in groups]
