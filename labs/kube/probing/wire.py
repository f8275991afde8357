"""Errands to the agent's input, its output to reports. Nothing of the output is believed before it was read strictly.

Input, one line each: `L connect answer tries bytes cursor`, `G words of a route`, `S place uid address`, `P index place
protocol address port patience paced nonce questions`, `E`. Output: `R index word error microseconds answers`, at the
end `E count`; `X reason text` when nothing could be done. Times are milliseconds where nothing else is said; texts are
hexadecimal, `-` for none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from labs.kube.probing.places import Place

CONNECT_MILLISECONDS = 500
"""Silence of this length, twice, is a denial: of a connection or an echo, whose other side is a kernel."""
ANSWER_MILLISECONDS = 1000
"""The same for a datagram, whose other side is a process that may be waiting for its turn."""
TRIES = 2
BYTES = 2048
"""Of each answer; more is dropped."""
_LINE = re.compile(r"R ([0-9]{1,7}) ([a-z]{1,10}) (-|E[A-Z0-9]{1,20}) ([0-9]{1,12}) (-|[0-9a-f,-]*)")
_LAST = re.compile(r"E ([0-9]{1,7})")
_COMPLAINT = re.compile(r"X ([a-z]{1,20}) ([0-9a-f]{0,400})")


class Word(StrEnum):
    """What became of an errand."""

    ANSWER = "answer"
    """All that was asked was answered, or the stream ended."""
    REACHED = "reached"
    """Somebody accepted, and did not answer (all) in time."""
    SILENT = "silent"
    FAILED = "failed"
    """The kernel said no; the error tells how."""
    CANNOT = "cannot"
    """No socket."""
    NOWHERE = "nowhere"
    """No network namespace with the source's address."""


@dataclass(frozen=True, slots=True)
class Errand:
    """One probe for the agent.

    Attributes:
        patience: how long a stream's server may take to answer, in milliseconds.
        paced: whether the answer may be a message that kernels do not send as fast as they are asked.
        behind: the machine through which an outside host gets to the address; empty where it knows the way.
    """

    index: int
    place: Place
    protocol: str
    address: str
    port: int
    patience: int
    nonce: str
    questions: tuple[bytes, ...]
    behind: str = ""
    paced: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What became of it. `error` is the name of a Linux error number, or empty."""

    word: Word
    error: str
    milliseconds: float
    answers: tuple[bytes, ...]


def script() -> bytes:
    """The agent, up to where its input begins."""
    return resources.files("labs.kube.probing").joinpath("agent.pl").read_bytes() + b"\n__END__\n"


def pack(errands: Sequence[Errand], cursor: int) -> bytes:
    """The agent with its input. `cursor` moves on by at most `TRIES` ports or identifiers an errand."""
    places = {place: number for number, place in enumerate(dict.fromkeys(errand.place for errand in errands))}
    lines = [f"L {CONNECT_MILLISECONDS} {ANSWER_MILLISECONDS} {TRIES} {BYTES} {cursor}"]
    lines += [f"G {route}" for route in dict.fromkeys(_route(errand) for errand in errands if errand.behind)]
    lines += [f"S {number} {place.uid or '-'} {place.addresses[0]}" for place, number in places.items()]
    for one in errands:
        asked = ",".join(question.hex() or "-" for question in one.questions)
        where = (one.index, places[one.place], one.protocol, one.address, one.port)
        lines.append("P " + " ".join(map(str, (*where, one.patience, int(one.paced), one.nonce, asked))))
    return script() + "\n".join((*lines, "E", "")).encode()


def _route(errand: Errand) -> str:
    source = next(one for one in errand.place.addresses if (":" in one) == (":" in errand.address))
    return f"{errand.address} via {errand.behind} src {source}"


def unpack(output: bytes, indices: Iterable[int]) -> Mapping[int, Report]:
    """The reports by index.

    Raises:
        InfrastructureError: the output is not what the agent writes, or not all of it.
    """
    wanted = set(indices)
    if len(output) > 4096 + len(wanted) * (128 + 8 * BYTES):
        raise InfrastructureError(f"the agent wrote {len(output)} bytes, more than it can have to say")
    *lines, last = output.decode("ascii", "replace").rstrip("\n").split("\n")
    if complaint := _COMPLAINT.fullmatch(last):
        raise InfrastructureError(_complaint(complaint[1], complaint[2]))
    found: dict[int, Report] = {}
    for line in lines:
        read = _LINE.fullmatch(line)
        index = int(read[1]) if read else -1
        if read is None or index not in wanted or index in found or read[2] not in set(Word):
            raise InfrastructureError(f"the agent's line cannot be read: {excerpt(line)}")
        answers = () if read[5] == "-" else tuple(_bytes(text) for text in read[5].split(","))
        found[index] = Report(Word(read[2]), read[3].strip("-"), int(read[4]) / 1000, answers)
    end = _LAST.fullmatch(last)
    if end is None or int(end[1]) != len(wanted) or len(found) != len(wanted):
        raise InfrastructureError(f"the agent stopped in the middle: {len(found)} of {len(wanted)} probes are reported")
    return found


def _bytes(text: str) -> bytes:
    try:
        return b"" if text == "-" else bytes.fromhex(text)
    except ValueError:
        raise InfrastructureError(f"the agent's answer cannot be read: {excerpt(text)}") from None


def _complaint(reason: str, text: str) -> str:
    told = excerpt(bytes.fromhex(text if len(text) % 2 == 0 else "").decode("utf-8", "replace"))
    if reason == "architecture":
        return f"the agent does not know this processor's system calls ({told})"
    return f"the agent cannot work: {reason} ({told})"


def excerpt(text: str) -> str:
    """The beginning of a stranger's text, fit for one line of a message."""
    return "".join(c if c.isprintable() else "?" for c in text.strip()[:200])
