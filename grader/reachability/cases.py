"""Expectations against verdicts: cells that somebody else knows, from a conformance suite or a recorded cluster.

The form, as JSON:

    {"source": "…", "cases": [{"id": "…", "title": "…", "steps": [
        {"objects": [Kubernetes objects],
         "expect": [{"from": "ns/pod", "to": "ip:192.0.2.1", "protocol": "TCP", "port": 80, "allowed": true}]}]}]}

`from` and `to` are endpoints as in `grader.ports`; `port` is null for ICMP. A cell with a `disputed` text is counted
apart, and so is one that the specification leaves open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from itertools import repeat
from typing import TYPE_CHECKING, Any

from content.errors import BrokenContentError, Defect, UsageError
from grader.kube.model import Origin
from grader.kube.parse import read_objects
from grader.reachability.verdict import Action, Flow
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from grader.ports import Manifest
    from grader.reachability.verdict import Verdict

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Expected:
    """One known cell; `disputed` says why it is no gate, empty when it is one."""

    flow: Flow
    allowed: bool
    disputed: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One state of a cluster, with the cells that are known of it. `case` and `number` (from 1) name it."""

    case: str
    number: int
    objects: tuple[Manifest, ...]
    expected: tuple[Expected, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A cell whose verdict is not the known one."""

    step: Step
    expected: Expected
    verdict: Verdict
    why: tuple[str, ...]


@dataclass(slots=True)
class Tally:
    """What came out. Only `differing` counts against: the other cells agree, are left open, or are disputed."""

    steps: int = 0
    cells: int = 0
    agreeing: int = 0
    left_open: int = 0
    disputed: int = 0
    differing: list[Difference] = field(default_factory=list)


def read_steps(document: object, file: Path) -> tuple[Step, ...]:
    """Return every step of a file of cases.

    Raises:
        BrokenContentError: the document has not the form of cases; the cause names the place in it.
    """
    cases = document.get("cases") if isinstance(document, Mapping) else None
    if not isinstance(cases, list):
        raise _broken(file, "there is no list `cases`")
    return tuple(step for index, case in enumerate(cases) for step in _read_case(case, f"cases[{index}]", file))


def judge(steps: Iterable[Step], objects: Sequence[Manifest] = ()) -> Tally:
    """Judge every cell of every step; `objects` are added to those of each step.

    Raises:
        BrokenContentError: objects that the API would refuse.
        UsageError: a cell names an endpoint that its step does not have.
    """
    tally = Tally()
    for step in steps:
        tally.steps += 1
        place = f"{step.case}, step {step.number}"
        world = World(read_objects([*step.objects, *objects], origins=repeat(Origin(place)), lenient=True))
        for expected in step.expected:
            tally.cells += 1
            flow = _in_family(world, expected.flow)
            try:
                verdict = world.verdict(flow)
            except UsageError as error:
                raise UsageError(f"{place}: {error.message}", remedy=error.remedy) from error
            if verdict.allowed is expected.allowed:
                tally.agreeing += 1
            elif expected.disputed:
                tally.disputed += 1
            elif verdict.action is Action.OPEN:
                tally.left_open += 1
            else:
                tally.differing.append(Difference(step, expected, verdict, world.explain(flow).lines()))
    return tally


def _read_case(value: object, path: str, file: Path) -> Iterator[Step]:
    case = _mapping(value, path, file)
    steps = case.get("steps")
    if not isinstance(steps, list):
        raise _broken(file, f"{path} has no list `steps`")
    for number, entry in enumerate(steps, start=1):
        where = f"{path}.steps[{number - 1}]"
        step = _mapping(entry, where, file)
        objects, cells = step.get("objects"), step.get("expect")
        if not isinstance(objects, list) or not isinstance(cells, list):
            raise _broken(file, f"{where} needs the lists `objects` and `expect`")
        expected = tuple(_read_cell(cell, f"{where}.expect[{i}]", file) for i, cell in enumerate(cells))
        yield Step(str(case.get("id", path)), number, tuple(objects), expected)


def _read_cell(value: object, path: str, file: Path) -> Expected:
    cell = _mapping(value, path, file)
    source, destination, allowed = cell.get("from"), cell.get("to"), cell.get("allowed")
    protocol, port = cell.get("protocol", "TCP"), cell.get("port")
    if not (isinstance(source, str) and isinstance(destination, str) and isinstance(protocol, str)):
        raise _broken(file, f"{path}: `from`, `to` and `protocol` must be strings")
    if not isinstance(allowed, bool):
        raise _broken(file, f"{path}: `allowed` must be true or false")
    if port is not None and (isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535):
        raise _broken(file, f"{path}: `port` must be a number up to 65535, or null")
    protocol = protocol.upper()
    family = 6 if 6 in (_family(source), _family(destination)) else 4
    sent, kind, code = (_number(cell.get(name), f"{path}.{name}", file) for name in ("source_port", *_ICMP))
    flow = Flow(
        source,
        destination,
        port or 0,
        "ICMP" if protocol == "ICMPV6" else protocol,
        family,
        source_port=sent,
        icmp=(kind, code or 0) if kind is not None else None,
    )
    return Expected(flow, allowed, str(cell.get("disputed") or ""))


_ICMP = ("icmp_type", "icmp_code")


def _number(value: object, path: str, file: Path) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 65535):
        return value
    raise _broken(file, f"{path} must be a number, or null")


def _in_family(world: World, flow: Flow) -> Flow:
    """A flow between pods has the family of addresses that both have; IPv4 where they have both or none."""
    pods = [world.endpoints.pods.get(ref) for ref in (flow.source, flow.destination)]
    known = [pod.addresses for pod in pods if pod is not None and pod.addresses]
    if flow.family == 6 or not known or any(address.version == 4 for ends in known for address in ends):
        return flow
    return replace(flow, family=6)


def _family(endpoint: str) -> int:
    try:
        return ip_address(endpoint.removeprefix("ip:")).version
    except ValueError:
        return 4


def _mapping(value: object, path: str, file: Path) -> Fields:
    if not isinstance(value, Mapping):
        raise _broken(file, f"{path} must be an object")
    return value


def _broken(file: Path, cause: str) -> BrokenContentError:
    return BrokenContentError([Defect(file, 0, cause, "see netdojo reach check --help for the form")])
