"""What becomes of a probe, on the real kernel: every outcome, protocol and family; faults of servers and loop."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from grader.ports import Observation, Outcome, Probe

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.netns

SERVER, CLIENT, NODE = "shop/server", "shop/client", "node:node-1"
ADDRESSES = {4: ("10.244.0.2", "10.244.0.3"), 6: ("fd00:10:244::2", "fd00:10:244::3")}
NOWHERE = {4: "ip:198.51.100.7", 6: "ip:2001:db8:99::7"}

OUTCOMES = [
    ("TCP", 80, SERVER, Outcome.OPEN),
    ("TCP", 53, SERVER, Outcome.OPEN),
    ("TCP", 6379, SERVER, Outcome.OPEN),
    ("TCP", 9000, SERVER, Outcome.OPEN),
    ("TCP", 81, SERVER, Outcome.REFUSED),
    ("TCP", 80, "shop/gone", Outcome.DROPPED),
    ("UDP", 53, SERVER, Outcome.OPEN),
    ("UDP", 8081, SERVER, Outcome.OPEN),
    ("UDP", 81, SERVER, Outcome.REFUSED),
    ("UDP", 80, "shop/gone", Outcome.DROPPED),
    ("SCTP", 8082, SERVER, Outcome.OPEN),
    ("SCTP", 81, SERVER, Outcome.REFUSED),
    ("SCTP", 81, NODE, Outcome.REFUSED),
    ("SCTP", 80, "shop/gone", Outcome.DROPPED),
    ("ICMP", 0, SERVER, Outcome.OPEN),
    ("ICMP", 0, NODE, Outcome.OPEN),
    ("ICMP", 0, "shop/gone", Outcome.DROPPED),
    ("TCP", 80, "nowhere", Outcome.UNREACHABLE),
    ("UDP", 80, "nowhere", Outcome.UNREACHABLE),
    ("SCTP", 80, "nowhere", Outcome.UNREACHABLE),
    ("ICMP", 0, "nowhere", Outcome.UNREACHABLE),
    ("TCP", 80, "service:shop/summary", Outcome.OPEN),
    ("TCP", 80, "shop/old", Outcome.OPEN),
    ("GRE", 80, SERVER, Outcome.ERROR),
    ("TCP", 80, "shop/unknown", Outcome.ERROR),
    ("TCP", 0, SERVER, Outcome.ERROR),
]


def test_every_outcome(isolated: Callable[..., Any], pair: Callable[..., Any]) -> None:
    asked = [
        (Probe(CLIENT, NOWHERE[family] if destination == "nowhere" else destination, port, protocol, family), outcome)
        for family in (4, 6)
        for protocol, port, destination, outcome in OUTCOMES
        if (family, destination) != (6, "shop/old")
    ]

    async def scenario() -> tuple[Observation, ...]:
        return await pair().probe(*(probe for probe, _ in asked))

    seen = isolated(scenario)
    assert [(one.probe, one.outcome) for one in seen] == asked
    for one in seen:
        if one.outcome is Outcome.OPEN and one.probe.destination.startswith(("shop/", "service:")):
            assert one.answered_by == SERVER
            assert one.seen_as == ("" if one.probe.protocol == "ICMP" else ADDRESSES[one.probe.family][0])
        if one.outcome is Outcome.DROPPED:
            assert one.milliseconds >= 400, "silence twice"
        if one.outcome is Outcome.ERROR:
            assert one.detail


def test_a_missing_family_is_an_error_that_names_it(isolate: Callable[..., Any], pair: Callable[..., Any]) -> None:
    async def scenario() -> tuple[Observation, ...]:
        return await pair().probe(Probe(CLIENT, "shop/old", 80, family=6), Probe("shop/old", SERVER, 80))

    assert [(one.outcome, one.detail) for one in isolate(scenario)] == [
        (Outcome.ERROR, "shop/old has no IPv6 address"),
        (Outcome.ERROR, "shop/old cannot be a source: it has no network namespace"),
    ]


def serve(made: socket.socket, answer: Callable[[bytes], bytes]) -> None:
    """A stranger's TCP server on the running loop."""
    loop = asyncio.get_running_loop()

    async def run() -> None:
        while True:
            client, _ = await loop.sock_accept(made)
            data = await loop.sock_recv(client, 1000)
            if text := answer(data):
                await loop.sock_sendall(client, text)
                client.close()

    running.append(loop.create_task(run()))


running: list[asyncio.Task[None]] = []


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", "somebody else answered (unverified answer)"),
        (lambda data: data, "somebody else answered (unverified answer)"),
        (
            lambda data: data.rstrip() + b" shop/server 10.244.0.2 00000000000000000000000000000000\n",
            "somebody else answered (unverified answer)",
        ),
        (lambda _: b"", "somebody else answered (connected, but nobody answered)"),
    ],
    ids=["other protocol", "echo", "forged seal", "silent"],
)
def test_a_faked_server_proves_nothing(
    isolate: Callable[..., Any], pair: Callable[..., Any], answer: Callable[[bytes], bytes], detail: str
) -> None:
    async def scenario() -> tuple[Observation, ...]:
        made = pair()
        fake = made.fabric.pods["server"].namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        fake.bind(("", 7000))
        fake.listen()
        serve(fake, answer)
        return await made.probe(Probe(CLIENT, SERVER, 7000), Probe(CLIENT, "ip:10.244.0.3", 7000))

    at_pod, at_address = isolate(scenario)
    assert (at_pod.outcome, at_pod.detail, at_pod.answered_by) == (Outcome.ERROR, detail, "")
    assert at_address.outcome is Outcome.OPEN
    assert at_address.answered_by == ""


def test_an_answer_from_another_pod_is_told(isolate: Callable[..., Any], pair: Callable[..., Any]) -> None:
    async def scenario() -> tuple[Observation, ...]:
        return await pair().probe(Probe(CLIENT, "shop/old", 80))

    (seen,) = isolate(scenario)
    assert (seen.outcome, seen.answered_by) == (Outcome.OPEN, SERVER)


def test_one_lost_packet_is_no_denial(isolate: Callable[..., Any], pair: Callable[..., Any]) -> None:
    async def scenario() -> tuple[Observation, ...]:
        made = pair()
        from labs.sandbox.workloads import identity

        bound = made.fabric.pods["server"].namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.bind(("", 7000))
        seen: list[bytes] = []

        def ready() -> None:
            data, sender = bound.recvfrom(1000)
            seen.append(data)
            if len(seen) > 1:
                fresh = identity.read_question(data)
                bound.sendto(identity.answer("the lab's own", fresh, SERVER, sender[0]), sender)

        asyncio.get_running_loop().add_reader(bound.fileno(), ready)
        return await made.probe(Probe(CLIENT, SERVER, 7000, "UDP"))

    (seen,) = isolate(scenario)
    assert seen.outcome is Outcome.OPEN
    assert seen.milliseconds >= 200


@pytest.mark.parametrize("protocol", ["TCP", "UDP", "SCTP"])
def test_a_late_loop_is_no_silence(isolate: Callable[..., Any], pair: Callable[..., Any], protocol: str) -> None:
    """The loop that carries the servers too is away for longer than both tries, and that proves nothing."""
    port = {"TCP": 80, "UDP": 8081, "SCTP": 8082}[protocol]

    async def scenario() -> tuple[Observation, ...]:
        made = pair()
        asyncio.get_running_loop().call_soon(time.sleep, 0.7)
        return await made.probe(*[Probe(CLIENT, SERVER, port, protocol)] * 200)

    assert {one.outcome for one in isolate(scenario)} == {Outcome.OPEN}


def test_few_descriptors_make_it_slower_not_wrong(
    isolate: Callable[..., Any], pair: Callable[..., Any], descriptors: Callable[[], int]
) -> None:
    async def scenario() -> tuple[list[Outcome], int, int]:
        made = pair()
        before = descriptors()
        limit = before + 40
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        probes = [Probe(CLIENT, SERVER, 80), Probe(CLIENT, SERVER, 8081, "UDP")] * 100
        seen = await made.probe(*probes)
        await until(lambda: descriptors() <= before)
        return [one.outcome for one in seen], before, descriptors()

    outcomes, before, after = isolate(scenario)
    assert set(outcomes) == {Outcome.OPEN}
    assert after <= before


def test_cancelling_lets_go_of_everything(
    isolate: Callable[..., Any], pair: Callable[..., Any], descriptors: Callable[[], int]
) -> None:
    async def scenario() -> tuple[int, int]:
        made = pair()
        before = descriptors()
        task = asyncio.ensure_future(made.probe(*[Probe(CLIENT, "shop/gone", 80)] * 300))
        await until(lambda: descriptors() > before + 100)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return before, descriptors()

    before, after = isolate(scenario)
    assert after == before


def test_thousands_at_once(isolate: Callable[..., Any], pair: Callable[..., Any]) -> None:
    async def scenario() -> dict[str, int]:
        made = pair()
        probes = [Probe(CLIENT, SERVER, port, protocol) for port, protocol in ((80, "TCP"), (8081, "UDP"))] * 1500
        seen = await made.probe(*probes)
        return {outcome: sum(one.outcome == outcome for one in seen) for outcome in Outcome}

    assert isolate(scenario)["open"] == 3000


def test_no_probes_no_answers(isolate: Callable[..., Any], pair: Callable[..., Any]) -> None:
    async def scenario() -> tuple[Observation, ...]:
        return await pair().probe()

    assert isolate(scenario) == ()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it, at most five seconds."""
    limit = time.monotonic() + 5
    while not condition() and time.monotonic() < limit:  # noqa: ASYNC110 - descriptors have no event
        await asyncio.sleep(0.005)
