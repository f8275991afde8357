"""Cells of a matrix: what was seen against what the verdict says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.ports import Outcome
from grader.reachability.verdict import Flow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grader.ports import Manifest, Observation
    from grader.reachability.world import World

_KUBELET = {("TCP", 10250)}
"""What every node of a real cluster serves."""


def differing(world: World, seen: Iterable[Observation]) -> list[tuple[Observation, str]]:
    """The cells in which packets went otherwise than the verdict says, each with both in words."""
    served = {pod.ref: {(port.protocol, port.number) for port in pod.ports} for pod in world.objects.pods}
    wrong = []
    for observation in seen:
        probe = observation.probe
        flow = Flow(probe.source, probe.destination, probe.port, probe.protocol, probe.family)
        packet = world.packets(flow)[0]
        there = packet.destination.ref
        listening = probe.protocol == "ICMP" or (probe.protocol, packet.port) in served.get(there, _KUBELET)
        if not world.allowed_as_calico(flow):
            expected = Outcome.DROPPED
        else:
            expected = Outcome.OPEN if listening else Outcome.REFUSED
        right_server = observation.answered_by in {"", there}
        if observation.outcome is not expected or not right_server:
            verdict = world.verdict(flow)
            said = (
                f"{flow}: seen {observation.outcome} ({observation.answered_by} {observation.detail}), "
                f"judged {expected}: "
                f"egress {verdict.egress.action} {verdict.egress.reason}; "
                f"ingress {verdict.ingress.action} {verdict.ingress.reason}"
            )
            wrong.append((observation, said))
    return wrong


def differences(world: World, seen: Iterable[Observation]) -> list[str]:
    """The same, in words only."""
    return [said for _, said in differing(world, seen)]


def story(how: str, wrong: list[str], objects: Iterable[Manifest]) -> str:
    """What a failure shows: how to play it again, the cells, the objects."""
    shown = "\n".join(str(item) for item in objects if item["kind"] != "Service")
    return f"{how}: {len(wrong)} cells differ\n" + "\n".join(wrong) + f"\n{shown}"
