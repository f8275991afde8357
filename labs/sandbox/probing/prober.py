"""Many attempts at once, on the daemon's own event loop.

Attempts wait in an epoll of their own, which the loop watches as one descriptor: that keeps an attempt at a few system
calls. They start in slices, so that the pods' servers (which run on the same loop) and the API get their turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import resource
import select
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from content.errors import NetdojoError
from grader.ports import Observation, Outcome
from labs.sandbox.probing.association import InitAttempt
from labs.sandbox.probing.attempt import Attempt, DatagramAttempt, Result, StreamAttempt, address_of
from labs.sandbox.probing.errors import NO_DESCRIPTOR
from labs.sandbox.probing.icmp import EchoAttempt
from labs.sandbox.workloads import sctp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grader.ports import Probe
    from labs.sandbox.network.netns import NetworkNamespace

SILENCE_SECONDS = 0.2
"""No denial is believed before this much silence, twice."""

PATIENCE_SECONDS = 2.0
"""How long a server may take to answer once it has accepted the connection."""

TRIES = 2
_TICK_SECONDS = 0.01
_LONGEST_TICK_SECONDS = 0.05
_SLICE = 64
_MOST_AT_ONCE = 1024


def _association(address: str, port: int, secret: str) -> Attempt:
    if sctp.in_kernel():
        return StreamAttempt(address, port, secret, sctp.IPPROTO_SCTP)
    return InitAttempt(address, port, secret)


_ATTEMPTS: dict[str, Callable[[str, int, str], Attempt]] = {
    "TCP": StreamAttempt,
    "UDP": DatagramAttempt,
    "ICMP": EchoAttempt,
    "SCTP": _association,
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a source or destination of a probe is.

    Attributes:
        namespace: where a source's sockets are made; None for what can only be a destination (a Service).
        addresses: of both families, in order of preference. For a Service its cluster IPs.
    """

    namespace: NetworkNamespace | None
    addresses: tuple[str, ...]


@dataclass(slots=True)
class _Task:
    """A probe on its way."""

    index: int
    probe: Probe
    namespace: NetworkNamespace
    address: str
    tries: int = 0
    began: float = 0.0
    deadline: float = 0.0
    patience: float = PATIENCE_SECONDS
    attempt: Attempt | None = None


class Prober:
    """Makes probes.

    Args:
        resolve: an endpoint's name, as in `grader.ports` (`ip:` is not asked for), to where it is. What it raises of
            LookupError and NetdojoError becomes the observation's detail.
        nonce_secret: the secret that the pods' servers seal their answers with.
    """

    def __init__(self, resolve: Callable[[str], Endpoint], nonce_secret: str) -> None:
        self._resolve = resolve
        self._secret = nonce_secret

    async def run(self, probes: Sequence[Probe]) -> tuple[Observation, ...]:
        """Make all probes and answer in their order.

        An attempt that meets `SILENCE_SECONDS` of silence is made once more before it counts as dropped; the event
        loop's own delays do not count as silence. Cancelling closes all sockets.
        """
        batch = _Batch(probes, self._resolve, self._secret)
        return await batch.run()


class _Batch:
    """One call of `Prober.run`."""

    def __init__(self, probes: Sequence[Probe], resolve: Callable[[str], Endpoint], secret: str) -> None:
        self._secret = secret
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._observations: list[Observation | None] = [None] * len(probes)
        self._by_descriptor: dict[int, _Task] = {}
        self._quiet: deque[tuple[float, _Task, Attempt]] = deque()
        self._clock = 0.0
        self._ticked = 0.0
        self._epoll = select.epoll()
        self._starting: asyncio.Handle | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._window = _window()
        self._waiting = deque(self._plan(probes, _Names(resolve)))

    async def run(self) -> tuple[Observation, ...]:
        """Start slice by slice until everything has an observation."""
        try:
            if self._waiting:
                self._loop.add_reader(self._epoll.fileno(), self._events)
                self._ticked = time.monotonic()
                self._ticking = self._loop.call_later(_TICK_SECONDS, self._tick)
                self._start_slice()
                await self._done
        finally:
            self._close()
        return tuple(one for one in self._observations if one is not None)

    def _close(self) -> None:
        for handle in (self._starting, self._ticking):
            if handle is not None:
                handle.cancel()
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        for task in self._by_descriptor.values():
            if task.attempt is not None:
                task.attempt.close()
        self._by_descriptor.clear()

    def _plan(self, probes: Sequence[Probe], names: _Names) -> list[_Task]:
        """Tasks, those of one source together so that its namespace is entered once a slice."""
        tasks = []
        for index, probe in enumerate(probes):
            problem, task = names.plan(index, probe)
            if task is None:
                self._observations[index] = Observation(probe, Outcome.ERROR, detail=problem)
            else:
                tasks.append(task)
        tasks.sort(key=lambda task: id(task.namespace))
        return tasks

    def _start_soon(self) -> None:
        if self._waiting and self._starting is None and len(self._by_descriptor) < self._window:
            self._starting = self._loop.call_soon(self._start_slice)

    def _start_slice(self) -> None:
        self._starting = None
        room = min(_SLICE, self._window - len(self._by_descriptor), len(self._waiting))
        group: list[_Task] = []
        for _ in range(room):
            task = self._waiting.popleft()
            if group and group[0].namespace is not task.namespace:
                self._start_group(group)
                group = []
            group.append(task)
        if group:
            self._start_group(group)
        self._start_soon()
        self._finish_if_done()

    def _start_group(self, group: list[_Task]) -> None:
        ready = []
        try:
            with group[0].namespace.entered():
                for task in group:
                    attempt = _ATTEMPTS[task.probe.protocol](task.address, task.probe.port, self._secret)
                    try:
                        attempt.open()
                    except OSError as problem:
                        self._cannot_open(task, problem)
                    else:
                        ready.append((task, attempt))
        except OSError as problem:
            for task in group:
                self._observe(task, Result(Outcome.ERROR, detail=f"entering {task.probe.source}: {problem.strerror}"))
            return
        for task, attempt in ready:
            self._begin(task, attempt)

    def _cannot_open(self, task: _Task, problem: OSError) -> None:
        if problem.errno in NO_DESCRIPTOR and self._by_descriptor:
            self._window = max(1, len(self._by_descriptor) // 2)  # wait for those that are open
            self._waiting.append(task)
        else:
            self._observe(task, Result(Outcome.ERROR, detail=f"socket: {problem.strerror}"))

    def _begin(self, task: _Task, attempt: Attempt) -> None:
        task.attempt = attempt
        task.tries += 1
        now = time.monotonic()
        task.began = task.began or now
        result = attempt.begin()
        if result is not None:
            attempt.close()
            self._observe(task, result)
            return
        task.deadline = self._clock + (now - self._ticked) + SILENCE_SECONDS
        self._by_descriptor[attempt.socket.fileno()] = task
        self._epoll.register(attempt.socket.fileno(), attempt.interest)
        self._quiet.append((task.deadline, task, attempt))

    def _events(self) -> None:
        for descriptor, events in self._epoll.poll(0, 256):
            task = self._by_descriptor[descriptor]
            attempt = task.attempt
            if attempt is None:
                continue
            before = attempt.interest
            result = attempt.ready(events)
            if result is not None:
                self._let_go(task)
                self._observe(task, result)
            elif attempt.interest != before:
                self._epoll.modify(descriptor, attempt.interest)
        self._finish_if_done()

    def _let_go(self, task: _Task) -> None:
        attempt, task.attempt = task.attempt, None
        if attempt is not None:
            del self._by_descriptor[attempt.socket.fileno()]
            attempt.close()
        self._start_soon()

    def _tick(self) -> None:
        """Let time pass: at most `_LONGEST_TICK_SECONDS`, however long the loop was away, for that was not silence."""
        now = time.monotonic()
        self._clock += min(now - self._ticked, _LONGEST_TICK_SECONDS)
        self._ticked = now
        self._ticking = self._loop.call_later(_TICK_SECONDS, self._tick)
        if self._quiet and self._quiet[0][0] <= self._clock:
            self._events()  # what has come meanwhile is heard before silence is declared
        while self._quiet and self._quiet[0][0] <= self._clock:
            _, task, attempt = self._quiet.popleft()
            if task.attempt is attempt:
                self._silent(task, attempt)
        self._finish_if_done()

    def _silent(self, task: _Task, attempt: Attempt) -> None:
        if attempt.reached and task.patience > 0:
            task.patience -= SILENCE_SECONDS
            self._quiet.append((self._clock + SILENCE_SECONDS, task, attempt))
        elif attempt.reached:
            self._let_go(task)
            self._observe(task, Result(Outcome.OPEN, verified=False, detail="connected, but nobody answered"))
        elif task.tries < TRIES:
            self._let_go(task)
            self._waiting.append(task)
            self._start_soon()
        else:
            self._let_go(task)
            self._observe(
                task, Result(Outcome.DROPPED, detail=f"no answer in {TRIES} x {SILENCE_SECONDS * 1000:.0f} ms")
            )

    def _observe(self, task: _Task, result: Result) -> None:
        took = (time.monotonic() - task.began) * 1000 if task.began else 0.0
        outcome, detail = judge(task.probe, result)
        who = result.who
        if outcome is Outcome.OPEN and result.verified and _named(task.probe):
            who = who or task.probe.destination  # an echo reply carries no name: the address is the pod's
        self._observations[task.index] = Observation(task.probe, outcome, who, result.seen_as, took, detail)

    def _finish_if_done(self) -> None:
        if not self._by_descriptor and not self._waiting and not self._done.done():
            self._done.set_result(None)


def _named(probe: Probe) -> bool:
    """True when the destination is one endpoint that servers call by the same name (a pod or an outside host)."""
    return not probe.destination.startswith(("service:", "node:", "ip:"))


def judge(probe: Probe, result: Result) -> tuple[Outcome, str]:
    """The outcome that a result means for this probe, with its detail.

    A sealed answer means open, whichever pod of the lab gave it: `answered_by` tells, and the grader compares. An answer
    that no server of the lab sealed is an error at a netdojo endpoint, where it proves neither an open way nor a closed
    one; at a plain address (`ip:`) anybody may answer.
    """
    if result.outcome is not Outcome.OPEN:
        return result.outcome, result.detail
    if not result.verified:
        if probe.destination.startswith("ip:"):
            return Outcome.OPEN, result.detail
        return Outcome.ERROR, f"somebody else answered ({result.detail})"
    return Outcome.OPEN, result.detail


class _Names:
    """Names to tasks, each name resolved once."""

    def __init__(self, resolve: Callable[[str], Endpoint]) -> None:
        self._resolve = resolve
        self._known: dict[str, Endpoint | str] = {}

    def _find(self, name: str) -> Endpoint | str:
        """Where it is, or why it is not known."""
        if name not in self._known:
            try:
                if name.startswith("ip:"):
                    self._known[name] = Endpoint(None, (str(ipaddress.ip_address(name[3:])),))
                else:
                    self._known[name] = self._resolve(name)
            except (LookupError, NetdojoError, ValueError) as problem:
                self._known[name] = f"unknown endpoint {name}: {problem}"
        return self._known[name]

    def plan(self, index: int, probe: Probe) -> tuple[str, _Task | None]:
        """The task, or why there is none."""
        source, destination = self._find(probe.source), self._find(probe.destination)
        if isinstance(source, str):
            return source, None
        if isinstance(destination, str):
            return destination, None
        problem = _refusal(probe, source, destination)
        if problem or source.namespace is None:
            return problem or f"{probe.source} cannot be a source: it has no network namespace", None
        address = address_of(destination.addresses, probe.family)
        return "", _Task(index, probe, source.namespace, address)


def _refusal(probe: Probe, source: Endpoint, destination: Endpoint) -> str:
    """Why this probe cannot be made, or nothing."""
    if probe.protocol not in _ATTEMPTS:
        return f"protocol {probe.protocol} cannot be probed (one of {', '.join(_ATTEMPTS)})"
    if probe.protocol != "ICMP" and not 0 < probe.port < 65536:
        return f"{probe.port} is no port"
    ends = {probe.destination: destination, probe.source: source}
    for name, end in ends.items():
        if end.addresses and not address_of(end.addresses, probe.family):
            return f"{name} has no IPv{probe.family} address"
    return "" if destination.addresses else f"{probe.destination} has no address"


def _window() -> int:
    """How many attempts may be open at once: each open TCP connection takes a descriptor at both of its ends."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    used = 64
    with contextlib.suppress(OSError):
        used = sum(1 for _ in Path("/proc/self/fd").iterdir())
    free = limit - used - 32
    return max(1, min(_MOST_AT_ONCE, free // 2))
