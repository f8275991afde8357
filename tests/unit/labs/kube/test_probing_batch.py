"""Reports to observations, and a batch over machines of which some do not answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from grader.errors import InfrastructureError
from grader.ports import Outcome, Probe
from labs.kube.probing import Finished, Prober
from labs.kube.probing.judge import judge
from labs.kube.probing.places import Places
from labs.kube.probing.plan import plan
from labs.kube.probing.wire import Report, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HOSTS = {"bastion": ("172.18.0.9",)}
NONCE = "<nonce>"


def http(*bodies: str) -> str:
    return "".join(f"HTTP/1.1 200 OK\r\nContent-Length: {{{body}}}\r\n\r\n{body}" for body in bodies)


def answer(fresh: str, text: str) -> bytes:
    """A server's words, with the nonce and the lengths of bodies filled in."""
    text = re.sub(r"{(.*?)}", lambda found: str(len(found[1].replace(NONCE, fresh))), text)
    return text.replace(NONCE, fresh).encode()


TOLD = http("web-1", "10.0.0.3:99", NONCE)
CASES = [
    ("TCP", "shop/web-1", 80, Word.ANSWER, "", [TOLD], Outcome.OPEN, "shop/web-1", ""),
    ("TCP", "shop/web-1", 80, Word.REACHED, "", [TOLD], Outcome.OPEN, "shop/web-1", ""),
    ("TCP", "shop/web-2", 80, Word.ANSWER, "", [TOLD], Outcome.OPEN, "shop/web-1", ""),
    ("TCP", "service:shop/web", 8080, Word.ANSWER, "", [TOLD], Outcome.OPEN, "shop/web-1", ""),
    ("TCP", "node:node-1", 30080, Word.ANSWER, "", [TOLD], Outcome.OPEN, "shop/web-1", ""),
    (
        "TCP",
        "host:bastion",
        80,
        Word.ANSWER,
        "",
        [http("bastion", "10.0.0.3:1", NONCE)],
        Outcome.OPEN,
        "host:bastion",
        "",
    ),
    ("TCP", "shop/web-1", 80, Word.ANSWER, "", [http("moon", "", NONCE)], Outcome.ERROR, "", "it calls itself moon"),
    ("TCP", "ip:192.0.2.1", 80, Word.ANSWER, "", [http("moon", "", NONCE)], Outcome.OPEN, "", "does not tell"),
    ("TCP", "shop/web-1", 80, Word.ANSWER, "", [http("web-1", "", "no")], Outcome.ERROR, "", "without the nonce"),
    ("TCP", "shop/web-1", 80, Word.REACHED, "", [], Outcome.ERROR, "", "nobody answered"),
    ("TCP", "shop/web-1", 81, Word.REACHED, "", [], Outcome.OPEN, "", "connected, but nobody answered"),
    ("TCP", "shop/mute", 80, Word.ANSWER, "", ["banner"], Outcome.OPEN, "", "who is there is not known"),
    ("TCP", "shop/web-1", 80, Word.SILENT, "", [], Outcome.DROPPED, "", "no answer in 2 x 500 ms"),
    ("UDP", "shop/web-1", 8081, Word.SILENT, "", [], Outcome.ERROR, "", "silence proves nothing"),
    ("UDP", "shop/web-1", 9, Word.SILENT, "", [], Outcome.DROPPED, "", "no answer in 2 x 1000 ms"),
    ("UDP", "shop/mute", 514, Word.SILENT, "", [], Outcome.ERROR, "", "silence proves nothing"),
    ("UDP", "shop/dns", 53, Word.SILENT, "", [], Outcome.DROPPED, "", ""),
    ("UDP", "shop/dns", 53, Word.ANSWER, "", [f"x{NONCE}"], Outcome.OPEN, "", "does not tell"),
    ("ICMP", "shop/web-1", 0, Word.ANSWER, "", ["x"], Outcome.OPEN, "shop/web-1", ""),
    ("ICMP", "node:node-1", 0, Word.ANSWER, "", ["x"], Outcome.OPEN, "", ""),
    ("ICMP", "shop/web-1", 0, Word.SILENT, "", [], Outcome.DROPPED, "", "2 x 500 ms"),
    ("TCP", "shop/web-1", 80, Word.FAILED, "ECONNREFUSED", [], Outcome.REFUSED, "", "refused"),
    ("TCP", "shop/web-1", 80, Word.FAILED, "EHOSTUNREACH", [], Outcome.UNREACHABLE, "", "no route"),
    ("TCP", "shop/web-1", 80, Word.FAILED, "EINVAL", [], Outcome.UNREACHABLE, "", "black hole"),
    ("TCP", "shop/web-1", 80, Word.FAILED, "E9999", [], Outcome.ERROR, "", "E9999"),
    ("SCTP", "shop/web-1", 80, Word.CANNOT, "EPROTONOSUPPORT", [], Outcome.ERROR, "", "kind-worker has no SCTP"),
    ("TCP", "shop/web-1", 80, Word.CANNOT, "ENFILE", [], Outcome.ERROR, "", "(ENFILE)"),
    ("TCP", "shop/web-1", 80, Word.NOWHERE, "", [], Outcome.ERROR, "", "no network namespace on kind-worker"),
]


@pytest.mark.parametrize(("protocol", "to", "port", "word", "error", "answers", "outcome", "who", "detail"), CASES)
def test_what_a_report_means(
    shop: list[dict[str, Any]],
    protocol: str,
    to: str,
    port: int,
    word: Word,
    error: str,
    answers: list[str],
    outcome: Outcome,
    who: str,
    detail: str,
) -> None:
    places = Places(shop, HOSTS)
    planned = plan(0, Probe("shop/client", to, port, protocol), places)
    fresh = planned.errand.nonce
    seen = judge(planned, Report(word, error, 3.5, tuple(answer(fresh, text) for text in answers)), places)
    assert (seen.outcome, seen.answered_by, seen.milliseconds) == (outcome, who, 3.5)
    assert detail in seen.detail
    if TOLD in answers:
        assert seen.seen_as == "10.0.0.3"


@pytest.mark.parametrize(
    ("source", "to", "port", "protocol", "patience", "paced", "behind"),
    [
        ("shop/client", "shop/web-1", 80, "TCP", 2000, False, ""),
        ("shop/client", "shop/web-1", 81, "TCP", 300, False, ""),
        ("shop/client", "shop/web-1", 81, "UDP", 300, True, ""),
        ("shop/client", "shop/dns", 53, "UDP", 300, False, ""),
        ("node:node-1", "shop/web-1", 80, "TCP", 2000, False, ""),
        ("host:bastion", "shop/web-1", 80, "TCP", 2000, False, "172.18.0.3"),
        ("host:bastion", "service:shop/web", 8080, "TCP", 2000, False, "172.18.0.2"),
        ("host:bastion", "node:node-1", 30080, "TCP", 2000, False, ""),
    ],
)
def test_how_an_errand_is_made(
    shop: list[dict[str, Any]],
    source: str,
    to: str,
    port: int,
    protocol: str,
    patience: int,
    behind: str,
    *,
    paced: bool,
) -> None:
    errand = plan(0, Probe(source, to, port, protocol), Places(shop, HOSTS)).errand
    assert (errand.patience, errand.paced, errand.behind) == (patience, paced, behind)


class Machines:
    """Runs no agent: each machine does what its entry says with the input, or fails."""

    def __init__(self, **machines: Callable[[bytes], Finished]) -> None:
        self.machines = machines
        self.visits: list[str] = []

    async def run(self, machine: str, argv: Sequence[str], stdin: bytes, seconds: float) -> Finished:
        assert argv[0] == "perl"
        assert seconds > 0
        self.visits.append(machine)
        return self.machines[machine.replace("-", "_")](stdin)


def indices(stdin: bytes) -> list[int]:
    _, _, lines = stdin.partition(b"\n__END__\n")
    return [int(line.split()[1]) for line in lines.splitlines() if line.startswith(b"P ")]


def silent(stdin: bytes) -> Finished:
    reports = [f"R {index} silent - 1000000 -\n" for index in reversed(indices(stdin))]
    return Finished(0, "".join([*reports, f"E {len(reports)}\n"]).encode(), b"")


def gone(_: bytes) -> Finished:
    raise InfrastructureError("the container is not running", remedy="start the lab again")


ASKED = (
    Probe("shop/web-1", "shop/client", 80),
    Probe("shop/web-2", "shop/client", 80),
    Probe("shop/nobody", "shop/client", 80),
    Probe("shop/web-1", "shop/client", 81),
    Probe("shop/web-1", "shop/client", 81, family=6),
    Probe("shop/new", "shop/client", 81),
    Probe("shop/web-1", "service:shop/headless", 81),
    Probe("shop/web-1", "shop/client", 0),
    Probe("shop/web-1", "shop/client", 80, "GRE"),
    Probe("shop/web-1", "ip:somewhere", 80),
)


async def test_a_machine_that_does_not_answer_costs_its_own_probes(shop: list[dict[str, Any]]) -> None:
    async def objects() -> list[dict[str, Any]]:
        return shop

    machines = Machines(kind_worker=silent, kind_z_control=gone)
    seen = await Prober(machines, objects).probe(ASKED)
    assert [one.probe for one in seen] == list(ASKED)
    assert sorted(machines.visits) == ["kind-worker", "kind-z-control"], "one visit a machine"
    assert [(one.outcome, one.detail) for one in seen] == [
        (Outcome.DROPPED, "no answer in 2 x 500 ms"),
        (Outcome.ERROR, "kind-z-control: the container is not running (start the lab again)"),
        (Outcome.ERROR, "there is no pod shop/nobody now"),
        (Outcome.DROPPED, "no answer in 2 x 500 ms"),
        (Outcome.ERROR, "shop/web-1 has no IPv6 address"),
        (Outcome.ERROR, "shop/new has no address"),
        (Outcome.ERROR, "service:shop/headless has no address"),
        (Outcome.ERROR, "0 is no port"),
        (Outcome.ERROR, "protocol GRE cannot be probed (one of TCP, UDP, ICMP, SCTP)"),
        (Outcome.ERROR, "'somewhere' is no address"),
    ]


@pytest.mark.parametrize(
    ("finished", "words"),
    [
        (Finished(0, b"", b""), "stopped in the middle"),
        (Finished(0, b"\xff" * 100 + b"\nE 1\n", b""), "cannot be read"),
        (Finished(2, b"", b"syntax error\x1b[2J\n"), "status 2: syntax error?[2J"),
        (Finished(137, b"", b""), "status 137: it said nothing"),
    ],
)
async def test_an_agent_that_fails_is_told_of(shop: list[dict[str, Any]], finished: Finished, words: str) -> None:
    async def objects() -> list[dict[str, Any]]:
        return shop

    machines = Machines(kind_worker=lambda _: finished)
    (seen,) = await Prober(machines, objects).probe([Probe("shop/web-1", "shop/client", 80)])
    assert seen.outcome is Outcome.ERROR
    assert words in seen.detail


@pytest.mark.parametrize("code", [126, 127])
async def test_no_perl_is_said_once_for_all(shop: list[dict[str, Any]], code: int) -> None:
    async def objects() -> list[dict[str, Any]]:
        return shop

    machines = Machines(kind_worker=silent, kind_z_control=lambda _: Finished(code, b"", b'exec: "perl": not found'))
    with pytest.raises(InfrastructureError, match="kind-z-control has no Perl") as caught:
        await Prober(machines, objects).probe([Probe(f"shop/web-{n}", "shop/client", 80) for n in (1, 2)])
    assert "node images" in caught.value.remedy


async def test_no_port_or_identifier_is_used_twice_in_a_row(shop: list[dict[str, Any]]) -> None:
    async def objects() -> list[dict[str, Any]]:
        return shop

    cursors: list[int] = []

    def remember(stdin: bytes) -> Finished:
        (line,) = (one for one in stdin.splitlines() if one.startswith(b"L "))
        cursors.append(int(line.split()[-1]))
        return silent(stdin)

    prober = Prober(Machines(kind_worker=remember), objects)
    for _ in range(2):
        await prober.probe([Probe("shop/web-1", "shop/client", 80, "UDP")] * 300)
    assert (cursors[1] - cursors[0]) % 28232 == 600, "two tries each"


async def test_nothing_to_probe_asks_nobody() -> None:
    async def objects() -> list[dict[str, Any]]:
        raise AssertionError

    assert await Prober(Machines(), objects).probe([]) == ()
