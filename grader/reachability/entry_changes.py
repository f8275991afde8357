"""What a change opens and closes at Services, node ports, outside addresses and requests, by groups of sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.reachability.bits import members
from grader.reachability.entries import entries
from grader.reachability.verdict import Flow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grader.reachability.bits import Bits
    from grader.reachability.diff import Difference
    from grader.reachability.entries import Entry
    from grader.reachability.space import Group, Space
    from grader.reachability.verdict import Verdict
    from grader.reachability.world import World


@dataclass(frozen=True, slots=True)
class EntryChange:
    """Entries at which the same sources turned in the same way.

    Attributes:
        opened: they get in now and did not before; else the other way round.
        entries: which, in order.
        sources: groups of the difference's space, in order.
        witness: one of the flows.
        before: what decided the witness; None where an end did not exist.
        after: what decides it now; None where an end does not exist any more.
    """

    opened: bool
    entries: tuple[Entry, ...]
    sources: tuple[Group, ...]
    witness: Flow
    before: Verdict | None
    after: Verdict | None


def entry_changes(found: Difference) -> tuple[EntryChange, ...]:
    """Return the changes, those that open first; an entry that only one world has is closed in the other."""
    space = found.space
    was, now = (entry_rows(world, space, number) for number, world in enumerate(space.worlds))
    changes: list[EntryChange] = []
    for opened, more, less, there in ((True, now, was, 1), (False, was, now, 0)):
        alike: dict[Bits, list[Entry]] = {}
        for entry, sources in more.items():
            turned = sources & ~less.get(entry, 0)
            if turned:
                alike.setdefault(turned, []).append(entry)
        for turned, listed in alike.items():
            groups = tuple(space.groups[i] for i in members(turned))
            witness = _witness(space, there, groups[0], listed[0])
            before, after = (_verdict(world, number, groups[0], witness) for number, world in enumerate(space.worlds))
            changes.append(EntryChange(opened, tuple(listed), groups, witness, before, after))
    return tuple(sorted(changes, key=lambda each: (not each.opened, -len(each.entries) * len(each.sources))))


def entry_rows(world: World, space: Space, number: int) -> dict[Entry, Bits]:
    """Return for each entry of a world of a space the groups of sources that get in."""
    present = [group for group in space.groups if group.places[number] is not None]
    rows = rows_of(world, [(group.asked[0], group.members) for group in present], space.family)
    return {entry: sum(1 << present[i].number for i in members(found)) for entry, found in rows.items()}


def rows_of(world: World, sources: Sequence[tuple[str, Sequence[str]]], family: int) -> dict[Entry, Bits]:
    """Return for each entry the sources that get in, as places in `sources`.

    Args:
        world: whose entries.
        sources: for each one endpoint that is asked, and all that it stands for.
        family: of the packets.
    """
    listed = entries(world)
    asked = [entry for entry in dict.fromkeys(listed.values()) if not entry.clients_on]
    matrix = world.matrix([one for one, _ in sources], [entry.column for entry in asked], family)
    rows = dict(zip(asked, matrix.allowed, strict=True))
    for entry in listed:
        if entry.clients_on:
            rows[entry] = 0
            for place, (_, alike) in enumerate(sources):
                if ref := _client(world, alike, entry.clients_on):
                    flow = Flow(ref, entry.name, entry.port, entry.protocol, family)
                    rows[entry] |= world.verdict(flow).allowed << place
    return {entry: rows[meant] for entry, meant in listed.items()}


def _client(world: World, members: Iterable[str], node: str) -> str:
    """One that runs on a node, or of which that is not known; empty for none."""
    found = (ref for ref in members if ref in world.endpoints.pods or ref.startswith("node:"))
    return next((ref for ref in found if world.endpoints.find(ref).node in ("", node)), "")


def _witness(space: Space, number: int, group: Group, entry: Entry) -> Flow:
    source = group.asked[0]
    if entry.clients_on:
        source = _client(space.worlds[number], group.members, entry.clients_on)
    return Flow(source, entry.name, entry.port, entry.protocol, space.family)


def _verdict(world: World, number: int, group: Group, flow: Flow) -> Verdict | None:
    if group.places[number] is None:
        return None
    destination = flow.destination
    if destination.startswith("service:") and destination[8:] not in world.endpoints.services:
        return None
    if destination.startswith("node:") and all(destination != f"node:{node.name}" for node in world.objects.nodes):
        return None
    return world.verdict(flow)
