"""The control protocol's words: what goes over the line as JSON, and back into the types of `grader.ports`.

One request a line: `{"id": 1, "do": "probe", "with": {…}}`; one answer a line: `{"id": 1, "ok": …}` or
`{"id": 1, "error": {"type": "NotCapableError", "message": …, "remedy": …}}`.
"""

from __future__ import annotations

import json
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from content.errors import BrokenContentError, Defect, NetdojoError, UsageError
from grader.errors import ClusterGoneError, InfrastructureError, NotCapableError, NotEnforcedError
from grader.ports import Capabilities, Observation, Outcome, Probe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

REQUEST_LIMIT = 16 << 20
"""Bytes of the longest request; a longer one ends its connection."""
ANSWER_LIMIT = 256 << 20
"""Bytes of the longest answer that a client reads."""

FAILED = "the cluster's process failed"
"""How the message of an error begins that nobody foresaw."""

_ERRORS = {
    kind.__name__: kind
    for kind in (InfrastructureError, NotEnforcedError, NotCapableError, ClusterGoneError, UsageError)
}


@dataclass(frozen=True, slots=True)
class Door:
    """Where a daemon is asked.

    Attributes:
        address: `unix:` and a socket's path, or `tcp:` and a port on loopback.
        token: what every request must carry; empty for a Unix socket, which only its owner can open.
    """

    address: str
    token: str = ""


def line(message: Any) -> bytes:  # noqa: ANN401 - any JSON
    """A message as one line."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def pack_probes(probes: Iterable[Probe]) -> list[list[Any]]:
    """Probes as lists: there are thousands."""
    return [[p.source, p.destination, p.port, p.protocol, p.family, p.via] for p in probes]


def unpack_probes(packed: Iterable[Sequence[Any]]) -> tuple[Probe, ...]:
    """The reverse of `pack_probes`.

    Raises:
        TypeError: it is none.
    """
    return tuple(Probe(*fields) for fields in packed)


def pack_observations(observations: Iterable[Observation]) -> list[list[Any]]:
    """Observations without their probes, which the asker has."""
    return [[str(o.outcome), o.answered_by, o.seen_as, round(o.milliseconds, 3), o.detail] for o in observations]


def unpack_observations(probes: Sequence[Probe], packed: Sequence[Sequence[Any]]) -> tuple[Observation, ...]:
    """Observations, each with its probe.

    Raises:
        ValueError: the numbers differ, or an outcome is unknown.
    """
    return tuple(
        Observation(probe, Outcome(outcome), *rest) for probe, (outcome, *rest) in zip(probes, packed, strict=True)
    )


def pack_capabilities(capabilities: Capabilities) -> dict[str, Any]:
    """Capabilities as JSON."""
    return {**asdict(capabilities), "has": sorted(capabilities.has)}


def unpack_capabilities(packed: dict[str, Any]) -> Capabilities:
    """The reverse of `pack_capabilities`."""
    return Capabilities(
        backend=packed["backend"],
        dataplane=packed["dataplane"],
        simulated=packed["simulated"],
        families=tuple(packed["families"]),
        protocols=tuple(packed["protocols"]),
        has=frozenset(packed["has"]),
        hosts={name: tuple(addresses) for name, addresses in packed["hosts"].items()},
    )


def pack_error(error: BaseException) -> dict[str, Any]:
    """An error as JSON; what is not netdojo's own becomes an InfrastructureError that names it."""
    if isinstance(error, BrokenContentError):
        defects = [[str(d.file), d.line, d.cause, d.remedy] for d in error.defects]
        return {"type": "BrokenContentError", "defects": defects}
    if isinstance(error, NetdojoError):
        kind = next((k.__name__ for k in type(error).__mro__ if k.__name__ in _ERRORS), "InfrastructureError")
        return {"type": kind, "message": error.message, "remedy": error.remedy}
    frames = traceback.extract_tb(error.__traceback__)
    where = f" (at {frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return {
        "type": "InfrastructureError",
        "message": f"{FAILED}: {type(error).__name__}: {error}{where}",
        "remedy": "this is a defect of netdojo: please report it with this message",
    }


def unpack_error(packed: dict[str, Any]) -> NetdojoError:
    """The reverse of `pack_error`."""
    if packed.get("type") == "BrokenContentError":
        return BrokenContentError(Defect(Path(file), at, cause, rest) for file, at, cause, rest in packed["defects"])
    kind = _ERRORS.get(str(packed.get("type")), InfrastructureError)
    return kind(str(packed.get("message")), remedy=str(packed.get("remedy", "")))
