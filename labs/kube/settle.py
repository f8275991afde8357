"""The barrier: returns when every node's dataplane has taken up what was written before.

First the signals of all touched kinds are flipped at once, and seen on each node. That each of them is there means that
felix has computed everything older; but felix hands one computation to its dataplane in pieces (calico 3.28,
felix/dataplane/linux/int_dataplane.go: msgPeekLimit), endpoints after sets and policies
(felix/calc/event_sequencer.go: Flush). So a last flip follows, of a pod's label: it is computed later, and applied
after all of the pieces.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError, NotEnforcedError
from labs.kube import canary
from labs.kube.canary import NAMESPACE, TURN, Signal
from labs.kube.lookout import Lookout, Sight
from labs.kube.resources import CALICO_GROUPS, deciding, resource_of
from labs.kube.standing import Canary
from labs.kube.turns import State, Turns
from labs.locks import FileLock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from grader.ports import Manifest
    from labs.kube.api import Api
    from labs.kube.mirror import Mirror
    from labs.kube.standing import Stand

_TURNER = "netdojo-turn"
"""The field manager of flips: they own the side's label, and what says it, and nothing else."""
_LIMIT_SECONDS = 90
"""Calico's agent may be restarting, or the machine be very busy: a change that takes long is none that fails."""
_PROOF_SECONDS = 15
_UNSIGNALLED_SECONDS = 2.0
"""For kinds that carry no signal: ten times what a change takes to arrive on an idle node (0.1 to 0.2 s)."""
_SILENCE_MILLISECONDS = 300
_LOCK_SECONDS = 0.02
_KUBERNETES_ORDER = 1000.0
_PROOFS = frozenset({"open", "closed"})
Sights = Mapping[str, list[Sight]]
"""What is looked at from each node."""
_NOTHING: Sights = {}


class Barrier:
    """Waits for the dataplanes of one cluster.

    Args:
        api: its API.
        mirror: follows its nodes and pods.
        image: what the canary's pods run.
        lock: a file by which two processes do not flip at once; the same for all that use this cluster.
        kept: where what was seen is kept for the next process; a folder of one's own, with the lock.
    """

    def __init__(
        self, api: Api, mirror: Mirror, *, image: str = canary.IMAGE, lock: Path, kept: Path | None = None
    ) -> None:
        self._api = api
        self._lock = lock
        self._turns = Turns(kept)
        self._canary = Canary(api, mirror, image, self._turns)
        self._lookouts: dict[str, Lookout] = {}

    async def wait(self, signals: Iterable[Signal], *, unsignalled: bool = False) -> None:
        """Return when everything of these signals' kinds that was written before is enforced on every node.

        Args:
            signals: of the touched kinds; nothing is waited for when there are none.
            unsignalled: a kind was touched that carries no signal of its own.

        Raises:
            InfrastructureError: a node did not take it up in time.
        """
        wanted = frozenset(signals)
        if not wanted and not unsignalled:
            return
        async with self._alone():
            stand = await self._canary.stand()
            if unsignalled:
                await asyncio.sleep(_UNSIGNALLED_SECONDS)
            await self._pass(stand, await self._visible(stand, wanted))

    async def wait_all(self) -> None:
        """Return when everything that was written before is enforced on every node.

        Raises:
            InfrastructureError: a node did not take it up in time.
        """
        await self.wait(Signal)

    async def prove(self) -> None:
        """Show on each node that a policy stops a packet and lets another through, and that changes arrive.

        Raises:
            NotEnforcedError: a packet got through that should not, or did not that should.
            InfrastructureError: it cannot be shown, or a change did not arrive in time.
        """
        async with self._alone():
            stand = await self._canary.stand()
            await self._pass(stand, await self._visible(stand, frozenset(Signal)), _proofs(stand))

    async def sample(self) -> None:
        """Show the same on each node by one change: no word on what else was written before, in a fifth of the time.

        Raises:
            NotEnforcedError: as above.
            InfrastructureError: it cannot be shown within seconds.
        """
        async with self._alone():
            stand = await self._canary.stand()
            if stand.absent:
                raise InfrastructureError(
                    f"the node {stand.absent[0]} is not ready", remedy="kubectl describe node says why"
                )
            signals = await self._visible(stand, frozenset({Signal.POLICY})) or frozenset({Signal.POD})
            await self._flip(stand, signals, _proofs(stand), _PROOF_SECONDS)

    def close(self) -> None:
        """Look no more."""
        while self._lookouts:
            self._lookouts.popitem()[1].close()

    async def _visible(self, stand: Stand, signals: frozenset[Signal]) -> frozenset[Signal]:
        """Those of these signals that this cluster gives and nobody hides; waits a moment for the others."""
        given = signals & stand.given
        hidden = {Signal.POLICY} if Signal.POLICY in given and await self._is_hidden() else frozenset()
        if hidden or (signals - given and await self._has_calico()):
            await asyncio.sleep(_UNSIGNALLED_SECONDS)
        return given - hidden

    async def _has_calico(self) -> bool:
        """Whether there may be objects of Calico's: its own API server may not run, or be silent."""
        versions = {each.api_version for each in await self._api.resources()} | await self._api.silent()
        return any(each.startswith(CALICO_GROUPS) for each in versions)

    async def _is_hidden(self) -> bool:
        """Whether a global policy stands before every NetworkPolicy, and may decide on the canary's traffic first.

        A NetworkPolicy has the order 1000 (calico 3.28, libcalico-go/lib/backend/k8s/conversion/constants.go).
        """
        resources = deciding(await self._api.resources())
        resource = next((each for each in resources if each.kind == "GlobalNetworkPolicy"), None)
        policies = (await self._api.list(resource)).items if resource else ()
        specs = [item["spec"] for item in policies if not canary.is_canary(item)]
        return any(
            spec.get("tier", "default") != "default" or (order is not None and float(order) <= _KUBERNETES_ORDER)
            for spec in specs
            for order in [spec.get("order")]
        )

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Hold the lock of flips. It is between processes and between loops, so it is asked for again and again."""
        try:
            while (lock := FileLock.acquire(self._lock)) is None:  # noqa: ASYNC110 - nothing tells of another process
                await asyncio.sleep(_LOCK_SECONDS)
        except OSError as error:
            raise InfrastructureError(
                f"the lock file {self._lock} cannot be made: {error.strerror or error}",
                remedy="free some space, or mend the folder's permissions",
            ) from error
        try:
            yield
        finally:
            lock.release()

    async def _pass(self, stand: Stand, signals: frozenset[Signal], beside: Sights = _NOTHING) -> None:
        if signals:
            await self._flip(stand, signals, beside)
        await self._flip(stand, frozenset({Signal.POD}))

    async def _flip(
        self, stand: Stand, signals: frozenset[Signal], beside: Sights = _NOTHING, seconds: int = _LIMIT_SECONDS
    ) -> None:
        """Turn these signals to their other sides, and see it on each node, with what is looked at beside it."""
        ordered = sorted(signals, key=lambda each: (each is Signal.SERVICE, each))  # kube-proxy takes the longest
        states = dict(zip(ordered, await asyncio.gather(*(self._state(stand, each) for each in ordered)), strict=True))
        doubtful = {each: state.side for each, state in states.items() if not self._turns.is_seen(each, state)}
        if doubtful:  # somebody turned, and may not have lived to see it arrive
            await self._turn(stand, doubtful)  # written anew: the canary's pods may have other addresses since
            shut = {each: 1 - side for each, side in doubtful.items()}
            await self._seen(_sights(stand, doubtful, shut, _LIMIT_SECONDS))
        sides = {each: 1 - state.side for each, state in states.items()}
        turned = await self._turn(stand, sides)
        wanted = _sights(stand, sides, {}, seconds)
        await self._seen({node: [*beside.get(node, ()), *sights] for node, sights in wanted.items()})
        self._turns.note({each: State(side, turned[each], tuple(stand.nodes)) for each, side in sides.items()})

    async def _state(self, stand: Stand, signal: Signal) -> State:
        """The side that a signal's objects say; no versions when they do not agree, or are not there."""
        objects = canary.turned(signal, 0, stand.servers, stand.clients)
        found = await asyncio.gather(*(self._get(item) for item in objects))
        sides = {(item or {"metadata": {}})["metadata"].get("labels", {}).get(TURN, "") for item in found}
        if sides not in ({"0"}, {"1"}):
            return State(0, (), ())
        versions = tuple(str(item["metadata"]["resourceVersion"]) for item in found if item is not None)
        return State(int(sides.pop()), versions, tuple(stand.nodes))

    async def _turn(self, stand: Stand, sides: Mapping[Signal, int]) -> dict[Signal, tuple[str, ...]]:
        resources = await self._api.resources()

        async def one(signal: Signal, side: int) -> tuple[str, ...]:
            versions = []
            for item in canary.turned(signal, side, stand.servers, stand.clients):
                resource = resource_of(item, resources)
                if resource is None:
                    raise InfrastructureError(f"the cluster does not serve {item['kind']} any more")
                namespace = item["metadata"].get("namespace", "")
                done = await self._api.apply(resource, namespace, item, _TURNER)
                versions.append(str(done["metadata"]["resourceVersion"]))
            return tuple(versions)

        done = await asyncio.gather(*(one(signal, side) for signal, side in sides.items()))
        return dict(zip(sides, done, strict=True))

    async def _seen(self, sights: Sights) -> None:
        """Return when everything is as wanted on each node.

        Raises:
            NotEnforcedError: the proof's packets are not.
            InfrastructureError: a signal's are not, within their limit.
        """
        late = await self._look(sights)
        for node, what, said in sorted(late, key=lambda each: each[1] not in _PROOFS)[:1]:
            words = f" ({said})" if said else ""
            if what in _PROOFS:
                got = "got through" if what == "closed" else "did not get through"
                raise NotEnforcedError(
                    f"the cluster does not enforce policy: on node {node} the canary's packet to its {what} port {got}"
                    + words,
                    remedy="the network plugin has to enforce NetworkPolicy (Calico does); see that its pods run: "
                    "kubectl get pods -A",
                )
            state = "opened" if what.endswith("+") else "closed"
            raise InfrastructureError(
                f"node {node} did not take up a change of kind {Signal[what[:-1]]} in time: "
                f"the canary's port was not {state}{words}",
                remedy="its network plugin may not run: kubectl get pods -A -o wide; or a policy for the pods of all "
                f"namespaces stands before others and hides {NAMESPACE} from view",
            )

    async def _look(self, sights: Sights) -> list[tuple[str, str, str]]:
        """What is not as wanted after its limit: node, sight, and what was seen."""
        for node in sights.keys() - self._lookouts.keys():
            self._lookouts[node] = Lookout(self._api, canary.name("client", node))
        watched = (self._lookouts[node].watch(wanted) for node, wanted in sights.items())
        late = zip(sights, await asyncio.gather(*watched), strict=True)
        return [(node, what, said) for node, found in late for what, said in found.items()]

    async def _get(self, item: Manifest) -> Manifest | None:
        resource = resource_of(item, await self._api.resources())
        metadata = item["metadata"]
        return await self._api.get(resource, metadata.get("namespace", ""), metadata["name"]) if resource else None


def _sights(stand: Stand, opened: Mapping[Signal, int], closed: Mapping[Signal, int], seconds: int) -> Sights:
    """These sides open and those closed, on each node."""
    return {
        node: [
            Sight(f"{signal.name}{word}", _address(stand, server, signal, side), is_open=word == "+", seconds=seconds)
            for word, sides in (("+", opened), ("-", closed))
            for signal, side in sides.items()
        ]
        for node, server in stand.nodes.items()
    }


def _proofs(stand: Stand) -> Sights:
    """On each node a packet that a policy lets through, and one that it stops."""
    return {
        node: [
            Sight(word, _join(server, port), word == "open", _SILENCE_MILLISECONDS, _PROOF_SECONDS)
            for word, port in (("open", canary.OPEN), ("closed", canary.CLOSED))
        ]
        for node, server in stand.nodes.items()
    }


def _address(stand: Stand, server: str, signal: Signal, side: int) -> str:
    return _join(stand.service if signal is Signal.SERVICE else server, canary.port(signal, side))


def _join(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
