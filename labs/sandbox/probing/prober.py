"""Many attempts at once, on the daemon's own event loop.

Attempts wait in an epoll of their own, which the loop watches as one descriptor: that keeps an attempt at a few system
calls. They start in slices, so that the pods' servers (which run on the same loop) and the API get their turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import select
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from grader.ports import Observation, Outcome
from labs.sandbox.probing.attempt import UNANSWERED, Attempt, Result
from labs.sandbox.probing.errors import NO_DESCRIPTOR
from labs.sandbox.probing.plan import ATTEMPTS, Names, Task, has_name, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grader.ports import Probe
    from labs.sandbox.probing.plan import Endpoint

SILENCE_SECONDS = 0.2
"""No denial is believed before this much silence, twice."""

TRIES = 2
_TICK_SECONDS = 0.01
_LONGEST_TICK_SECONDS = 0.05
_SLICE = 64
_MOST_AT_ONCE = 1024


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
        self._by_descriptor: dict[int, Task] = {}
        self._quiet: deque[tuple[float, Task, Attempt]] = deque()
        self._clock = 0.0
        self._ticked = 0.0
        self._epoll = select.epoll()
        self._starting: asyncio.Handle | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._window = _window()
        self._waiting = deque(self._plan(probes, Names(resolve)))

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

    def _plan(self, probes: Sequence[Probe], names: Names) -> list[Task]:
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
        group: list[Task] = []
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

    def _start_group(self, group: list[Task]) -> None:
        ready = []
        try:
            with group[0].namespace.entered():
                for task in group:
                    attempt = ATTEMPTS[task.probe.protocol](task.address, task.probe.port, self._secret)
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

    def _cannot_open(self, task: Task, problem: OSError) -> None:
        if problem.errno in NO_DESCRIPTOR and self._by_descriptor:
            self._window = max(1, len(self._by_descriptor) // 2)  # wait for those that are open
            self._waiting.append(task)
        else:
            self._observe(task, Result(Outcome.ERROR, detail=f"socket: {problem.strerror}"))

    def _begin(self, task: Task, attempt: Attempt) -> None:
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

    def _let_go(self, task: Task) -> None:
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

    def _silent(self, task: Task, attempt: Attempt) -> None:
        if attempt.reached and task.patience > 0:
            task.patience -= SILENCE_SECONDS
            self._quiet.append((self._clock + SILENCE_SECONDS, task, attempt))
        elif attempt.reached:
            self._let_go(task)
            self._observe(task, UNANSWERED)
        elif task.tries < TRIES:
            self._let_go(task)
            self._waiting.append(task)
            self._start_soon()
        else:
            self._let_go(task)
            self._observe(
                task, Result(Outcome.DROPPED, detail=f"no answer in {TRIES} x {SILENCE_SECONDS * 1000:.0f} ms")
            )

    def _observe(self, task: Task, result: Result) -> None:
        took = (time.monotonic() - task.began) * 1000 if task.began else 0.0
        outcome, detail = judge(task.probe, result)
        who = result.who
        if outcome is Outcome.OPEN and result.verified and has_name(task.probe):
            who = who or task.probe.destination  # an echo reply carries no name: the address is the pod's
        self._observations[task.index] = Observation(task.probe, outcome, who, result.seen_as, took, detail)

    def _finish_if_done(self) -> None:
        if not self._by_descriptor and not self._waiting and not self._done.done():
            self._done.set_result(None)


def _window() -> int:
    """How many attempts may be open at once: each open TCP connection takes a descriptor at both of its ends."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    used = 64
    with contextlib.suppress(OSError):
        used = sum(1 for _ in Path("/proc/self/fd").iterdir())
    free = limit - used - 32
    return max(1, min(_MOST_AT_ONCE, free // 2))
