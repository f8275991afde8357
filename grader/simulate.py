"""A cluster that is not there: probes answered by the evaluator from objects alone.

It predicts what a manifest would change, and it lets the same grading run where no packet can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.errors import NotCapableError
from grader.kube.parse import read_objects
from grader.ports import Capabilities, Execution, Manifest, Observation, Outcome, Probe
from grader.reachability.verdict import Flow
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def key(manifest: Manifest) -> tuple[str, str, str, str]:
    """What makes an object the same object: API group, kind, namespace, name."""
    metadata = manifest.get("metadata") or {}
    group = str(manifest.get("apiVersion", "")).rpartition("/")[0]
    return group, str(manifest.get("kind")), str(metadata.get("namespace", "")), str(metadata.get("name"))


class SimulatedCluster:
    """The port `grader.ports.Cluster` over a list of objects; `apply` replaces objects of the same key whole."""

    def __init__(self, objects: Iterable[Manifest] = (), *, families: tuple[int, ...] = (4, 6)) -> None:
        self._objects = {key(manifest): manifest for manifest in objects}
        self._version = 0
        self._families = families
        self._known: World | None = None

    @property
    def capabilities(self) -> Capabilities:
        """Everything that the evaluator knows; marked simulated."""
        return Capabilities("simulated", "model", simulated=True, families=self._families)

    async def snapshot(self) -> tuple[Manifest, ...]:
        """The objects as they are."""
        return tuple(self._objects.values())

    async def version(self) -> str:
        """Counts changes."""
        return str(self._version)

    async def prove_enforcement(self) -> None:
        """Nothing to prove: verdicts are computed, and reports say so."""

    async def apply(self, objects: Iterable[Manifest]) -> None:
        """Replace or add."""
        self._objects.update((key(manifest), manifest) for manifest in objects)
        self._changed()

    async def delete(self, objects: Iterable[Manifest]) -> None:
        """Remove; what is not there is fine."""
        for manifest in objects:
            self._objects.pop(key(manifest), None)
        self._changed()

    async def exec(self, pod: str, argv: Sequence[str], *, stdin: str = "", seconds: float = 30.0) -> Execution:
        """Nothing can run here."""
        del argv, stdin, seconds
        raise NotCapableError(
            f"no command can run in {pod}: this cluster is computed, not running",
            remedy="start the lab on a backend with real pods (see netdojo doctor)",
        )

    async def probe(self, probes: Sequence[Probe]) -> tuple[Observation, ...]:
        """Answer each probe by its verdict."""
        if self._known is None:
            self._known = World(read_objects(self._objects.values()))
        return tuple(answer(self._known, probe) for probe in probes)

    def _changed(self) -> None:
        self._version += 1
        self._known = None


def answer(world: World, probe: Probe) -> Observation:
    """The observation that a network following the rules would give.

    A pod refuses on a port that it does not declare; that a real server would listen there without saying so is not
    known from objects.
    """
    if not world.verdict(flow_of(world, probe)).allowed:
        return Observation(probe, Outcome.DROPPED)
    pod = next((pod for pod in world.objects.pods if pod.ref == probe.destination), None)
    if pod is None:
        return Observation(probe, Outcome.OPEN)
    served = any((port.number, port.protocol) == (probe.port, probe.protocol) for port in pod.ports)
    if probe.protocol == "ICMP" or served:
        return Observation(probe, Outcome.OPEN, answered_by=probe.destination)
    return Observation(probe, Outcome.REFUSED)


def flow_of(world: World, probe: Probe) -> Flow:
    """The question that a probe asks of the rules: one to a node's port is judged at the Service behind that port."""
    if probe.via == "nodeport":
        for service in world.objects.services:
            for port in service.ports:
                if (port.node_port, port.protocol) == (probe.port, probe.protocol):
                    target = f"service:{service.namespace}/{service.name}"
                    return Flow(probe.source, target, port.port, probe.protocol, probe.family)
    return Flow(probe.source, probe.destination, probe.port, probe.protocol, probe.family)
