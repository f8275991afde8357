"""Which changes turn a verdict, fewest first, and what else each of them turns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grader.edits import kubernetes, others
from grader.edits.step import Scene, Step
from grader.policy.model import EGRESS, INGRESS
from grader.reachability.diff import difference
from grader.reachability.judge import decide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.reachability.diff import Change, Difference
    from grader.reachability.packet import Packet
    from grader.reachability.verdict import Flow
    from grader.reachability.world import World

MOST_STEPS = 3
"""Changes of one edit: one for each side, and one more policy that lets the same pass."""
LONGEST = 20
"""Changes of the edit that is offered where no shorter one was found."""
WIDTH = 6
"""Unfinished edits that are carried on."""
RATED = 8
"""Edits of which it is computed what else they turn: the dearest part."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Changes that together turn a verdict.

    Attributes:
        steps: what to do, in order.
        opens: pairs of endpoints that open besides the workloads asked about.
        closes: pairs that close besides.
        witness: one of those flows; None where nothing else changes.
        weight: those pairs, weighted by the ports that turn.
    """

    steps: tuple[Step, ...]
    opens: int
    closes: int
    witness: Flow | None
    weight: int = 0

    @property
    def words(self) -> str:
        """What to do, and what else comes of it, in one sentence each."""
        return "; and ".join(step.words for step in self.steps)

    @property
    def besides(self) -> str:
        """Say what else changes."""
        parts = [f"opens {self.opens} other pair{'s'[: self.opens != 1]}"] if self.opens else []
        parts += [f"closes {self.closes} other pair{'s'[: self.closes != 1]}"] if self.closes else []
        if not parts:
            return "nothing else changes"
        example = ""
        if self.witness is not None:
            example = f", for example {self.witness}"
        return " and ".join(parts) + example


def smallest_edits(world: World, flow: Flow, most: int = 3) -> tuple[Edit, ...]:
    """Return edits that turn the verdict on a flow, those first that turn the least besides; each was evaluated.

    Raises:
        content.errors.UsageError: an endpoint of the flow does not exist.
    """
    wanted = not world.verdict(flow).allowed
    rated: list[Edit] = []
    unfinished: list[tuple[tuple[Step, ...], World]] = [((), world)]
    for _ in range(MOST_STEPS):
        turned: list[tuple[tuple[Step, ...], World]] = []
        carried: list[tuple[tuple[Step, ...], World]] = []
        for steps, state in unfinished[:WIDTH]:
            for step in _steps(state, flow, wanted=wanted):
                changed = state.changed(step.objects)
                if changed.verdict(flow).allowed is wanted:
                    turned.append(((*steps, step), changed))
                elif _progress(state, changed, flow):
                    carried.append(((*steps, step), changed))
        rated += [_rated(world, flow, steps, changed) for steps, changed in turned[:RATED]]
        # More changes are worth looking at only where fewer turn something else, too.
        if any(edit.weight == 0 for edit in rated):
            break
        unfinished = carried
    if not rated and (long := _one_by_one(world, flow, wanted=wanted)):
        rated.append(_rated(world, flow, *long))
    return tuple(sorted(rated, key=lambda edit: (edit.weight, len(edit.steps), len(edit.words)))[:most])


def _one_by_one(world: World, flow: Flow, *, wanted: bool) -> tuple[tuple[Step, ...], World] | None:
    """Where many rules let the same pass: the first change that gets any further, again and again."""
    steps: tuple[Step, ...] = ()
    for _ in range(LONGEST):
        for step in _steps(world, flow, wanted=wanted):
            changed = world.changed(step.objects)
            if changed.verdict(flow).allowed is wanted:
                return (*steps, step), changed
            if _progress(world, changed, flow):
                steps, world = (*steps, step), changed
                break
        else:
            return None
    return None


def _steps(world: World, flow: Flow, *, wanted: bool) -> Iterator[Step]:
    """Changes of each direction that decides: the first closed one to open, either one to close."""
    packet = _packet(world, flow)
    if packet is None:
        return
    for direction in (INGRESS, EGRESS):
        decision = decide(world.book, direction, packet)
        scene = Scene(world, packet.seen(direction), decision)
        if wanted and not decision.allowed:
            yield from kubernetes.opening(scene)
            yield from others.opening(scene)
            return
        if not wanted:
            yield from kubernetes.closing(scene)
            yield from others.closing(scene)


def _packet(world: World, flow: Flow) -> Packet | None:
    """The packet that the explanation is about: of several behind a Service, one that does not pass."""
    packets = world.packets(flow)
    passing = [all(decide(world.book, side, packet).allowed for side in (EGRESS, INGRESS)) for packet in packets]
    return next((packet for packet, passes in zip(packets, passing, strict=True) if not passes), None) or next(
        iter(packets), None
    )


def _progress(before: World, after: World, flow: Flow) -> bool:
    """Tell whether something else decides than before, or less of it."""
    return before.explain(flow).hops != after.explain(flow).hops


def _rated(world: World, flow: Flow, steps: tuple[Step, ...], changed: World) -> Edit:
    packet = _packet(world, flow)
    ends = (packet.source.ref, packet.destination.ref) if packet is not None else (flow.source, flow.destination)
    owners = {pod.ref: (pod.namespace, pod.owner) for pod in world.objects.pods}
    asked = [{ref for ref in owners if owners[ref] == owners[end]} if end in owners else {end} for end in ends]
    port = (packet.port, packet.protocol) if packet is not None else (flow.port, flow.protocol)
    counts, weight = {True: 0, False: 0}, 0
    witness: Flow | None = None
    found = difference(world, changed, flow.family)
    for change in found.changes:
        pairs = change.where.pairs - _asked(change, asked, port)
        counts[change.opened] += pairs
        weight += pairs * (change.where.flows // change.where.pairs)
        if pairs and witness is None:
            witness = _other(found, change, asked)
    return Edit(steps, counts[True], counts[False], witness, weight)


def _other(found: Difference, change: Change, asked: list[set[str]]) -> Flow:
    """A flow of a change between other workloads than those asked about; any of it where there is none."""
    where = change.where
    for source in where.sources:
        for destination in where.destinations:
            pair = found.space.pair(source, destination, int(change.opened))
            if pair is not None and not (pair[0] in asked[0] and pair[1] in asked[1]):
                return replace(where.witness, source=pair[0], destination=pair[1])
    return where.witness


def _asked(change: Change, asked: list[set[str]], port: tuple[int, str]) -> int:
    """How many pairs of a change are what was asked for: the same workloads at that port and no other."""
    ports = change.where.ports
    if [(each.low, each.high, each.protocol) for each in ports] != [(port[0], port[0], port[1])]:
        return 0
    sources, destinations = (
        [
            member
            for group in groups
            for member in (group.asked if group.outside else group.members)
            if member in meant or (group.outside and next(iter(meant)).startswith("ip:"))
        ]
        for groups, meant in zip((change.where.sources, change.where.destinations), asked, strict=True)
    )
    return sum(source != destination for source in sources for destination in destinations)
