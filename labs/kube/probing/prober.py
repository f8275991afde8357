"""A batch of probes: one command in each machine carries all that start there."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from content.errors import NetdojoError
from grader.errors import InfrastructureError
from grader.ports import Observation, Outcome
from labs.kube.probing import wire
from labs.kube.probing.judge import judge
from labs.kube.probing.places import Places
from labs.kube.probing.plan import Planned, plan

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from grader.ports import Manifest, Probe
    from labs.kube.probing.runner import Runner

_MOST_AT_ONCE = 4000
"""Probes that one command carries."""
_START_SECONDS = 15.0
_SECONDS_A_HUNDRED = 2.5
"""What a hundred probes may take where few descriptors are to be had: two silences, and some."""
_SECONDS_PACED = 2.5
"""What each may take of those that wait for one another (see the pace in the agent)."""
_PORTS = 28232
_PORTS_A_SECOND = 150
_NOT_THERE = frozenset({126, 127})
_NO_HOSTS: Mapping[str, Sequence[str]] = {}


class Prober:
    """Makes probes on a real cluster.

    Args:
        runner: runs the agent in nodes and outside hosts.
        objects: gives pods, services and nodes as they are now; other objects do no harm.
        hosts: the outside hosts' addresses by name.
    """

    def __init__(
        self,
        runner: Runner,
        objects: Callable[[], Awaitable[Sequence[Manifest]]],
        hosts: Mapping[str, Sequence[str]] = _NO_HOSTS,
    ) -> None:
        self._runner = runner
        self._objects = objects
        self._hosts = hosts
        # Ports and identifiers of datagrams are not used again for minutes, nor by a process that starts meanwhile:
        # connection tracking would take a new exchange for the old one, which a policy may have allowed.
        self._cursor = int(time.time() * _PORTS_A_SECOND) % _PORTS

    async def probe(self, probes: Sequence[Probe]) -> tuple[Observation, ...]:
        """Make all probes and answer in their order.

        A machine that does not answer costs its own probes only: they become errors that say why.

        Raises:
            grader.errors.InfrastructureError: the objects cannot be read, or a machine has no Perl.
        """
        places = Places(await self._objects(), self._hosts) if probes else None
        if places is None:
            return ()
        seen: dict[int, Observation] = {}
        by_machine: dict[str, list[Planned]] = defaultdict(list)
        for index, probe in enumerate(probes):
            try:
                planned = plan(index, probe, places)
            except LookupError as problem:
                seen[index] = Observation(probe, Outcome.ERROR, detail=str(problem.args[0]))
            else:
                by_machine[planned.errand.place.machine].append(planned)
        visits = (self._visit(machine, them, places) for machine, them in by_machine.items())
        for result in await asyncio.gather(*visits, return_exceptions=True):  # none is left running behind an error
            if isinstance(result, BaseException):
                raise result
            seen |= result
        return tuple(seen[index] for index in range(len(probes)))

    async def _visit(self, machine: str, them: Sequence[Planned], places: Places) -> dict[int, Observation]:
        """What the probes of one machine saw."""
        seen: dict[int, Observation] = {}
        for start in range(0, len(them), _MOST_AT_ONCE):
            part = them[start : start + _MOST_AT_ONCE]
            try:
                reports = await self._run(machine, part)
            except _NoPerlError:
                raise
            except NetdojoError as problem:
                detail = f"{machine}: {problem.message}" + (f" ({problem.remedy})" if problem.remedy else "")
                failed = {p.errand.index: Observation(p.probe, Outcome.ERROR, detail=detail) for p in part}
                seen |= failed
                continue
            seen |= {p.errand.index: judge(p, reports[p.errand.index], places) for p in part}
        return seen

    async def _run(self, machine: str, them: Sequence[Planned]) -> Mapping[int, wire.Report]:
        errands = [planned.errand for planned in them]
        stdin = wire.pack(errands, self._cursor)
        self._cursor = (self._cursor + wire.TRIES * len(errands)) % _PORTS
        pairs = Counter((errand.place, errand.address) for errand in errands if errand.paced)
        limit = _START_SECONDS + _SECONDS_A_HUNDRED * len(errands) / 100
        limit += _SECONDS_PACED * max(pairs.values(), default=0)
        done = await self._runner.run(machine, ("perl", "-"), stdin, limit)
        told = wire.excerpt((done.stderr or done.stdout).decode("utf-8", "replace"))
        if done.code in _NOT_THERE:
            raise _NoPerlError(
                f"{machine} has no Perl, which probes need there ({told or f'status {done.code}'})",
                remedy="use kind's own node images or others made of Debian: perl-base is part of every one of them",
            )
        if done.code:
            raise InfrastructureError(
                f"the agent ended with status {done.code}: {told or 'it said nothing'}",
                remedy="see that the machine runs, then try again",
            )
        return wire.unpack(done.stdout, [errand.index for errand in errands])


class _NoPerlError(InfrastructureError):
    """Probes cannot be made in this machine, now or later."""
