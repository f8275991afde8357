"""All pairs at all ports as JSON, folded: classes of endpoints, and for each who gets to which of its ports.

    {"version": 1, "family": 4,
     "classes": [{"kind": "pod", "members": {"shop/web": ["shop/web-1", "shop/web-2"]}}, …],
     "ports": [[{"protocol": "TCP", "from": 8080, "to": 8080}], …],
     "sources": [[0, 3], …],
     "reach": [{"to": [0], "open": [{"ports": 0, "sources": 0}], "left_open": [{"ports": 1, "open": 0, "closed": 2}],
                "conditional": [{"ports": 2, "sources": 0}], "barred": [{"ports": 2, "sources": 4}]}, …],
     "always": {"node-1": ["shop/web-1", …]},
     "entries": [{"entries": [{"kind": "service", "name": "service:shop/web", "port": 80, "protocol": "TCP",
                               "clients_on": ""}], "sources": 0}, …]}

Numbers in `to` and in `sources` are places in `classes`; those at `ports`, at `sources` below `reach`, `open` and
`closed` are places in the lists of these names. What is not listed is closed. `left_open` (the specification does not
say; what Calico does) and `conditional` (HTTP methods and paths decide) are left out where they are empty, and are not
repeated in `open`. Members are grouped by workload, ranges of addresses outside stand under an empty name; kinds are
`pod`, `node`, `outside` and `host-network`. Two rules hold beside: an endpoint always reaches itself, and a node, with
the pods in its network, always reaches those that it runs (`always`, where there are nodes), unless its own side keeps
it in (`barred`).
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from grader.reachability.bits import members
from tui.output.entries import entries_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from grader.reachability.allpairs import Part
    from grader.reachability.bits import Bits
    from grader.reachability.entries import Entry
    from grader.reachability.folding import Folded
    from grader.reachability.portclasses import PortClasses

_NO_ENTRIES: Mapping[Entry, Bits] = MappingProxyType({})
FEW = 100
"""Up to so many classes are indented for reading."""


def classes_json(
    folded: Folded,
    owners: Mapping[str, str],
    nodes: Mapping[str, Sequence[str]],
    entries: Mapping[Entry, Bits] = _NO_ENTRIES,
) -> str:
    """The matrix as JSON; see the module's description of the form.

    Args:
        folded: all pairs.
        owners: each pod's workload.
        nodes: the endpoints of each node.
        entries: Services and the like, each with the classes that get in.
    """
    hosts = sum(1 << place for place, each in enumerate(folded.classes) if each.kind in ("node", "host-network"))
    forms = _Forms(folded.ports, hosts)
    alike: dict[tuple[Part, ...], list[int]] = {}
    for place, parts in enumerate(folded.into):
        alike.setdefault(parts, []).append(place)
    reach = [{"to": places, **forms.parts(parts)} for parts, places in alike.items()]
    document: dict[str, Any] = {
        "version": 1,
        "family": folded.family,
        "classes": [{"kind": each.kind, "members": _grouped(each.members, owners)} for each in folded.classes],
        "ports": forms.ports,
        "sources": forms.sources,
        "reach": [each for each in reach if len(each) > 1],
        "always": nodes if hosts else {},
        "entries": [
            {"entries": entries_json(listed), "sources": forms.source(bits)} for bits, listed in _by_sources(entries)
        ],
    }
    return json.dumps(document, indent=2 if len(folded.classes) <= FEW else None)


def _by_sources(entries: Mapping[Entry, Bits]) -> Iterable[tuple[Bits, list[Entry]]]:
    alike: dict[Bits, list[Entry]] = {}
    for entry, bits in entries.items():
        alike.setdefault(bits, []).append(entry)
    return alike.items()


def _grouped(refs: Sequence[str], owners: Mapping[str, str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for ref in refs:
        own = ref if ref.startswith(("node:", "host:")) else ""
        grouped.setdefault(owners.get(ref, own), []).append(ref)
    return grouped


class _Forms:
    """Sets of ports and of sources, each listed once."""

    def __init__(self, ports: PortClasses, hosts: Bits) -> None:
        self._ports, self._hosts = ports, hosts
        self.ports: list[list[dict[str, Any]]] = []
        self.sources: list[Sequence[int]] = []
        self._known_ports: dict[Bits, int] = {}
        self._known_sources: dict[Bits, int] = {}

    def parts(self, parts: tuple[Part, ...]) -> dict[str, list[dict[str, int]]]:
        found: dict[str, list[dict[str, int]]] = {}
        for part in parts:
            plain = part.allowed & ~part.left_open & ~part.conditional
            if plain:
                found.setdefault("open", []).append(self._row(part, sources=plain))
            if part.left_open:
                sides = {"open": part.left_open & part.allowed, "closed": part.left_open & ~part.allowed}
                found.setdefault("left_open", []).append(self._row(part, **sides))
            if part.conditional:
                found.setdefault("conditional", []).append(self._row(part, sources=part.conditional))
            if barred := self._hosts & ~part.let_out:
                found.setdefault("barred", []).append(self._row(part, sources=barred))
        return found

    def _row(self, part: Part, **sets: Bits) -> dict[str, int]:
        if part.ports not in self._known_ports:
            self._known_ports[part.ports] = len(self.ports)
            self.ports.append(
                [{"protocol": i.protocol, "from": i.low, "to": i.high} for i in self._ports.intervals(part.ports)]
            )
        return {
            "ports": self._known_ports[part.ports],
            **{word: self.source(bits) for word, bits in sets.items()},
        }

    def source(self, bits: Bits) -> int:
        """The place of a set of sources in the list of these."""
        known = self._known_sources.get(bits)
        if known is None:
            known = self._known_sources[bits] = len(self.sources)
            self.sources.append(members(bits))
        return known
