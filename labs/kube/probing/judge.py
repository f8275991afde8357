"""Reports to observations: what the kernel's and the servers' words mean for a probe."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from grader.ports import Observation, Outcome
from labs.kube.probing import talk
from labs.kube.probing.talk import Speech
from labs.kube.probing.wire import ANSWER_MILLISECONDS, CONNECT_MILLISECONDS, TRIES, Word

if TYPE_CHECKING:
    from labs.kube.probing.places import Places
    from labs.kube.probing.plan import Planned
    from labs.kube.probing.wire import Report

_FAILURES = {
    "ECONNREFUSED": (Outcome.REFUSED, "connection refused"),
    "ENOPROTOOPT": (Outcome.REFUSED, "the host is there and does not speak the protocol"),
    "EPROTO": (Outcome.REFUSED, "the host is there and does not speak the protocol"),
    "ECONNRESET": (Outcome.REFUSED, "connection reset"),
    "EHOSTUNREACH": (Outcome.UNREACHABLE, "no route to host"),
    "ENETUNREACH": (Outcome.UNREACHABLE, "network is unreachable"),
    "EHOSTDOWN": (Outcome.UNREACHABLE, "host is down"),
    "ENONET": (Outcome.UNREACHABLE, "the host is isolated"),
    "EACCES": (Outcome.UNREACHABLE, "the way is prohibited"),
    "EINVAL": (Outcome.UNREACHABLE, "the route is a black hole"),
}
"""Names of Linux error numbers; the numbers of the machine that reads them may be others."""
_NO_SOCKET = frozenset({"EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "EAFNOSUPPORT"})


def judge(planned: Planned, report: Report, places: Places) -> Observation:
    """The observation that a report is."""
    probe, took = planned.probe, report.milliseconds
    match report.word:
        case Word.ANSWER | Word.REACHED:
            return _judge_answer(planned, report, places)
        case Word.SILENT:
            outcome, detail = _judge_silence(planned)
        case Word.FAILED:
            outcome, detail = _FAILURES.get(report.error, (Outcome.ERROR, _words(report.error)))
        case Word.CANNOT if report.error in _NO_SOCKET:
            outcome, detail = Outcome.ERROR, f"the kernel of {planned.errand.place.machine} has no {probe.protocol}"
        case Word.CANNOT:
            outcome, detail = Outcome.ERROR, f"no socket in {probe.source}: {_words(report.error)}"
        case _:
            machine = planned.errand.place.machine
            outcome, detail = Outcome.ERROR, f"{probe.source} has no network namespace on {machine}: is it running?"
    return Observation(probe, outcome, milliseconds=took, detail=detail)


def _judge_silence(planned: Planned) -> tuple[Outcome, str]:
    """Silence is a denial, unless the only one who could have broken it may be somebody who never answers."""
    probe = planned.probe
    if probe.protocol == "UDP" and planned.target.may_be_mute:
        return Outcome.ERROR, (
            f"silence proves nothing: the server on {probe.destination}:{probe.port}/udp may not answer at all "
            "(agnhost netexec and DNS servers do)"
        )
    each = ANSWER_MILLISECONDS if probe.protocol == "UDP" else CONNECT_MILLISECONDS
    return Outcome.DROPPED, f"no answer in {TRIES} x {each} ms"


def _judge_answer(planned: Planned, report: Report, places: Places) -> Observation:
    """A verified answer means open, whoever gave it: `answered_by` tells, and the grader compares.

    Where netexec listens by what the objects say, an answer without the nonce proves neither an open way nor a closed
    one. Anywhere else the connection itself is all that there is to see.
    """
    probe, target = planned.probe, planned.target
    told = talk.read(probe.protocol, target.speech, planned.errand.nonce, report.answers)

    def seen(outcome: Outcome, who: str = "", detail: str = "") -> Observation:
        return Observation(probe, outcome, who, told.client, report.milliseconds, detail)

    if not told.verified:
        what = "answered without the nonce" if report.answers else "connected, but nobody answered"
        if target.speech is Speech.NETEXEC:
            return seen(Outcome.ERROR, detail=f"somebody else is there ({what})")
        return seen(Outcome.OPEN, detail=f"{what}: who is there is not known")
    if probe.protocol == "ICMP":
        named = not probe.destination.startswith(("service:", "node:", "ip:"))
        return seen(Outcome.OPEN, probe.destination if named else "")
    who = places.named(target, told.hostname) if told.hostname else ""
    if told.hostname and not who and not probe.destination.startswith("ip:"):
        return seen(Outcome.ERROR, detail=f"somebody else is there: it calls itself {told.hostname}")
    return seen(Outcome.OPEN, who, "" if who else "it does not tell its name")


def _words(error: str) -> str:
    """An error's name in words, where this machine knows it."""
    import errno

    number = getattr(errno, error, None)
    return f"{os.strerror(number)} ({error})" if number else error or "for no reason that was told"
