"""The agent of real clusters on the real kernel: two pods whose servers run, and strangers among them."""

from __future__ import annotations

import asyncio
import ctypes
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grader.ports import Observation, Outcome, Probe
from labs.kind import hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from labs.kube.probing import Finished
    from labs.sandbox.network.netns import NetworkNamespace

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(shutil.which("perl") is None, reason="there is no Perl on this machine to run the agent with"),
]

AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.53"
SERVER = "shop/server"
HOST = str(Path(hosts.__file__).with_name("host.pl"))
ASKERS = [("host:bastion", 4), ("host:bastion", 6), ("node:node-1", 4), ("node:node-1", 6)]
MS_BIND = 0x1000


class Local:
    """Runs commands in the namespaces of this test, under the names of machines."""

    def __init__(self, **machines: NetworkNamespace) -> None:
        self.machines = machines

    async def run(self, machine: str, argv: Sequence[str], stdin: bytes, seconds: float) -> Finished:
        from labs.kube.probing import Finished

        with self.machines[machine.replace("-", "_").replace(":", "_")].entered():
            pipe = subprocess.PIPE
            process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe)  # noqa: ASYNC220 - an await would leave the namespace
        out, err = await asyncio.to_thread(process.communicate, stdin, seconds)
        return Finished(process.returncode, out, err)


def pod(name: str, addresses: Sequence[str], *args: str, network: bool = True, **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": AGNHOST, "args": [*args], "ports": spec.pop("ports", [])}
    spec = {"containers": [container], "nodeName": "node-1", **({} if network else {"hostNetwork": True}), **spec}
    metadata = {"name": name, "namespace": "shop", "uid": f"0000-{name}", "labels": {"app": name}}
    status = {"podIP": addresses[0], "podIPs": [{"ip": address} for address in addresses]}
    return {"kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def objects(client: Sequence[str], server: Sequence[str]) -> list[dict[str, Any]]:
    words = ("netexec", *(f"--http-port={port}" for port in (8080, 7000, 7001, 7002)), "--udp-port=8081")
    speaking = pod("server", server, *words, ports=[{"containerPort": 7001, "protocol": "UDP"}])
    addresses = [{"type": "InternalIP", "address": "172.18.0.2"}, {"type": "InternalIP", "address": "fd00:172:18::2"}]
    node = {"kind": "Node", "metadata": {"name": "node-1"}, "status": {"addresses": addresses}}
    gone = pod("gone", ("10.244.0.9", "fd00:10:244::9"), *words)
    return [node, pod("client", client, "pause"), speaking, gone, pod("lost", ("10.244.0.77",), "pause")]


def name_namespaces(**namespaces: NetworkNamespace) -> None:
    """Give namespaces names under /run/netns, as container runtimes do; only this process and its children see them."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mount(b"tmpfs", b"/run", b"tmpfs", 0, None) == 0, ctypes.get_errno()
    for name, namespace in namespaces.items():
        path = Path("/run/netns") / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        source = f"/proc/self/fd/{namespace.fd}".encode()
        assert libc.mount(source, str(path).encode(), None, MS_BIND, None) == 0, ctypes.get_errno()


async def probe(pair: Any, *asked: Probe) -> tuple[Observation, ...]:
    from labs.kube.probing import Prober
    from labs.sandbox.isolation import mount_proc

    mount_proc()
    pods = pair.fabric.pods
    name_namespaces(other=pods["server"].namespace, client=pods["client"].namespace)
    found = objects(("10.244.0.2", "fd00:10:244::2"), ("10.244.0.3", "fd00:10:244::3"))

    async def given() -> list[dict[str, Any]]:
        return found

    return await Prober(Local(node_1=pair.fabric.machines["node-1"].namespace), given).probe(asked)


OUTCOMES = [
    ("TCP", SERVER, 8080, Outcome.OPEN, SERVER),
    ("TCP", SERVER, 9000, Outcome.OPEN, ""),
    ("TCP", SERVER, 53, Outcome.OPEN, ""),
    ("TCP", SERVER, 81, Outcome.REFUSED, ""),
    ("TCP", "shop/gone", 8080, Outcome.DROPPED, ""),
    ("UDP", SERVER, 8081, Outcome.OPEN, SERVER),
    ("UDP", SERVER, 53, Outcome.OPEN, ""),
    ("UDP", SERVER, 81, Outcome.REFUSED, ""),
    ("UDP", "shop/gone", 8081, Outcome.DROPPED, ""),
    ("ICMP", SERVER, 0, Outcome.OPEN, SERVER),
    ("ICMP", "node:node-1", 0, Outcome.OPEN, ""),
    ("ICMP", "shop/gone", 0, Outcome.DROPPED, ""),
    ("TCP", "nowhere", 80, Outcome.UNREACHABLE, ""),
    ("UDP", "nowhere", 80, Outcome.UNREACHABLE, ""),
    ("ICMP", "nowhere", 0, Outcome.UNREACHABLE, ""),
    ("TCP", "shop/gone", 0, Outcome.ERROR, ""),
]
NOWHERE = {4: "ip:198.51.100.7", 6: "ip:2001:db8:99::7"}
SEEN_AS = {("shop/client", 4): "10.244.0.2", ("shop/client", 6): "fd00:10:244::2"}


def test_every_outcome(isolated: Callable[..., Any], pair: Callable[..., Any]) -> None:
    asked = [
        (Probe(source, NOWHERE[family] if to == "nowhere" else to, port, protocol, family), outcome, who)
        for source in ("shop/client", "node:node-1")
        for family in (4, 6)
        for protocol, to, port, outcome, who in OUTCOMES
        if (source, to) != ("node:node-1", "shop/gone")  # the node itself knows that it has no such pod
    ]

    async def scenario() -> tuple[Observation, ...]:
        return await probe(pair(), *(one for one, _, _ in asked))

    seen = isolated(scenario)
    assert [(one.probe, one.outcome, one.answered_by) for one in seen] == asked
    for one in seen:
        key = (one.probe.source, one.probe.family)
        if one.answered_by and one.probe.protocol != "ICMP" and key in SEEN_AS:
            assert one.seen_as == SEEN_AS[key]
        if one.outcome is Outcome.DROPPED:
            assert one.milliseconds >= 900, "silence twice"


def test_a_pod_whose_namespace_is_not_there_is_an_error(isolate: Callable[..., Any], pair: Callable[..., Any]) -> None:
    async def scenario() -> tuple[Observation, ...]:
        return await probe(pair(), Probe("shop/lost", SERVER, 8080))

    (seen,) = isolate(scenario)
    assert (seen.outcome, seen.detail) == (
        Outcome.ERROR,
        "shop/lost has no network namespace on node-1: is it running?",
    )


def test_a_kernel_without_sctp_says_so_and_one_with_it_is_asked(
    isolate: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    async def scenario() -> tuple[Observation, ...]:
        return await probe(pair(), Probe("shop/client", SERVER, 81, "SCTP"))

    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132).close()
        expected = Outcome.REFUSED, "connection refused"
    except OSError:
        expected = Outcome.ERROR, "the kernel of node-1 has no SCTP"
    (seen,) = isolate(scenario)
    assert (seen.outcome, seen.detail) == expected


running: list[asyncio.Task[None]] = []


def stranger(pair: Any, port: int, answer: Callable[[bytes], bytes]) -> None:
    """Somebody else's TCP server in the server's pod: gives what `answer` says, then closes; nothing: keeps still."""
    made = pair.fabric.pods["server"].namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.bind(("", port))
    made.listen()
    loop = asyncio.get_running_loop()

    async def run() -> None:
        kept = []
        while True:
            client, _ = await loop.sock_accept(made)
            kept.append(client)
            if text := answer(await loop.sock_recv(client, 4096)):
                await loop.sock_sendall(client, text)
                client.close()

    running.append(loop.create_task(run()))


STRANGERS = [
    (7000, lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Outcome.ERROR, "answered without the nonce"),
    (7001, lambda data: data, Outcome.ERROR, "answered without the nonce"),
    (7002, lambda _: b"", Outcome.ERROR, "connected, but nobody answered"),
    (7777, lambda _: b"", Outcome.OPEN, "connected, but nobody answered"),
    (7778, lambda _: b"220 mail\r\n", Outcome.OPEN, "who is there is not known"),
]


def test_strangers_are_never_taken_for_the_labs_server_nor_silence_for_a_closed_way(
    isolate: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    async def scenario() -> tuple[Observation, ...]:
        two = pair()
        for port, answer, _, _ in STRANGERS:
            stranger(two, port, answer)
        mute = two.fabric.pods["server"].namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
        mute.bind(("", 7001))
        asked = [Probe("shop/client", SERVER, port) for port, _, _, _ in STRANGERS]
        seen = await probe(two, *asked, Probe("shop/client", SERVER, 7001, "UDP"))
        mute.close()
        return seen

    *seen, last = isolate(scenario)
    for one, (_, _, outcome, detail) in zip(seen, STRANGERS, strict=True):
        assert (one.outcome, one.answered_by) == (outcome, "")
        assert detail in one.detail
    assert last.outcome is Outcome.ERROR
    assert "silence proves nothing" in last.detail


def test_an_outside_host_answers_and_asks(isolate: Callable[..., Any], pair: Callable[..., Any]) -> None:
    async def scenario() -> tuple[Observation, ...]:
        from labs.kube.probing import Prober

        own = ("203.0.113.10", "2001:db8:113::a")
        two = pair()
        outside = two.fabric.add_machine("bastion", own, is_node=False).namespace
        with outside.entered():
            server = subprocess.Popen(["perl", HOST, "bastion"], stdout=subprocess.PIPE)  # noqa: ASYNC220 - see Local
        assert server.stdout is not None
        assert server.stdout.readline() == b"bastion listens\n"

        async def given() -> list[dict[str, Any]]:
            return objects(("10.244.0.2",), ("10.244.0.3",))

        runner = Local(node_1=two.fabric.machines["node-1"].namespace, host_bastion=outside)
        prober = Prober(runner, given, {"bastion": own})
        asked = [Probe(s, "host:bastion", p, family=f) for s, f in ASKERS for p in (80, 443, 81)]
        seen = await prober.probe(asked)
        server.kill()
        server.wait()
        return seen

    seen = isolate(scenario)
    assert [(one.outcome, one.answered_by, one.seen_as) for one in seen] == [
        (Outcome.OPEN, "host:bastion", address) if port != 81 else (Outcome.REFUSED, "", "")
        for address in ("203.0.113.10", "2001:db8:113::a", "172.18.0.2", "fd00:172:18::2")
        for port in (80, 443, 81)
    ]


def test_many_probes_with_few_descriptors(isolate: Callable[..., Any], pair: Callable[..., Any]) -> None:
    async def scenario() -> tuple[Observation, ...]:
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
        asked = [Probe("shop/client", "shop/gone", 1000 + n) for n in range(60)]
        return await probe(pair(), *asked, *(Probe("shop/client", SERVER, 8080),) * 60)

    seen = isolate(scenario)
    assert [one.outcome for one in seen] == [Outcome.DROPPED] * 60 + [Outcome.OPEN] * 60
