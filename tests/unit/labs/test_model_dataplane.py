"""The simulated dataplane: outcomes as a table, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from grader.errors import NotCapableError
from grader.ports import Outcome, Probe
from labs.sandbox.dataplane.model import ModelRuntime
from labs.sandbox.runtime import HostSpec, NodeSpec

if TYPE_CHECKING:
    from grader.ports import Manifest


def pod(name: str, address: str, *ports: dict[str, Any], second: str = "") -> Manifest:
    addresses = [{"ip": ip} for ip in (address, second) if ip]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "shop", "name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": "x", "ports": list(ports)}], "nodeName": "node-1"},
        "status": {"podIP": address, "podIPs": addresses, "phase": "Running", "hostIP": "172.18.0.2"},
    }


def service(name: str, app: str, target: int | str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": "shop", "name": name},
        "spec": {
            "clusterIP": f"10.96.0.{len(name)}",
            "selector": {"app": app},
            "ports": [{"port": 80, "targetPort": target}],
        },
    }


WEB = {"containerPort": 8080, "name": "http"}
DNS = {"containerPort": 53, "protocol": "UDP"}
DENY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"namespace": "shop", "name": "closed"},
    "spec": {"podSelector": {"matchLabels": {"app": "db"}}},
}
NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "node-1"},
    "status": {"addresses": [{"type": "InternalIP", "address": "172.18.0.2"}]},
}
OBJECTS = [
    NODE,
    pod("web", "10.0.0.1", WEB, DNS, second="fd00::1"),
    pod("db", "10.0.0.2", WEB),
    service("web", "web", "http"),
    service("nobody", "none", 80),
    service("odd", "web", "no-such-name"),
    DENY,
]


@pytest.fixture
def runtime() -> ModelRuntime:
    made = ModelRuntime("because", (4, 6))
    made.add_node(NodeSpec("node-1", ("172.18.0.2",)))
    made.add_host(HostSpec("bastion", ("172.18.0.100",)))
    made.program(OBJECTS)
    return made


@pytest.mark.parametrize(
    ("source", "destination", "port", "protocol", "family", "outcome", "answered_by"),
    [
        ("shop/db", "shop/web", 8080, "TCP", 4, Outcome.OPEN, "shop/web"),
        ("shop/db", "shop/web", 53, "UDP", 4, Outcome.OPEN, "shop/web"),
        ("shop/db", "shop/web", 53, "TCP", 4, Outcome.REFUSED, ""),
        ("shop/db", "shop/web", 0, "ICMP", 4, Outcome.OPEN, "shop/web"),
        ("shop/web", "shop/db", 8080, "TCP", 4, Outcome.DROPPED, ""),
        ("shop/web", "shop/db", 9, "TCP", 4, Outcome.DROPPED, ""),
        ("shop/db", "shop/db", 8080, "TCP", 4, Outcome.OPEN, "shop/db"),
        ("node:node-1", "shop/db", 8080, "TCP", 4, Outcome.OPEN, "shop/db"),
        ("host:bastion", "shop/db", 8080, "TCP", 4, Outcome.DROPPED, ""),
        ("host:bastion", "shop/web", 8080, "TCP", 4, Outcome.OPEN, "shop/web"),
        ("shop/web", "host:bastion", 80, "TCP", 4, Outcome.OPEN, "host:bastion"),
        ("shop/db", "service:shop/web", 80, "TCP", 4, Outcome.OPEN, "shop/web"),
        ("shop/db", "service:shop/nobody", 80, "TCP", 4, Outcome.REFUSED, ""),
        ("shop/db", "service:shop/odd", 80, "TCP", 4, Outcome.REFUSED, ""),
        ("shop/db", "ip:10.0.0.1", 8080, "TCP", 4, Outcome.OPEN, "shop/web"),
        ("shop/web", "ip:198.51.100.1", 80, "TCP", 4, Outcome.UNREACHABLE, ""),
        ("shop/web", "shop/db", 8080, "TCP", 6, Outcome.ERROR, ""),
        ("shop/nobody", "shop/db", 8080, "TCP", 4, Outcome.ERROR, ""),
        ("shop/web", "service:shop/missing", 80, "TCP", 4, Outcome.ERROR, ""),
    ],
)
async def test_outcomes(
    runtime: ModelRuntime,
    source: str,
    destination: str,
    port: int,
    protocol: str,
    family: int,
    outcome: Outcome,
    answered_by: str,
) -> None:
    probe = Probe(source, destination, port, protocol, family)
    (seen,) = await runtime.probe([probe])
    assert (seen.outcome, seen.answered_by, seen.probe) == (outcome, answered_by, probe)
    if outcome is Outcome.ERROR:
        assert seen.detail


async def test_a_removed_policy_opens_again(runtime: ModelRuntime) -> None:
    probe = Probe("shop/web", "shop/db", 8080)
    assert (await runtime.probe([probe]))[0].outcome is Outcome.DROPPED
    runtime.program(OBJECTS[:-1])
    assert (await runtime.probe([probe]))[0].outcome is Outcome.OPEN


async def test_it_says_that_it_is_simulated_and_why_it_runs_no_command(runtime: ModelRuntime) -> None:
    assert runtime.capabilities.simulated
    with pytest.raises(NotCapableError, match=r"simulated \(because\)") as refused:
        await runtime.exec("uid", "c", ["ls"])
    assert "doctor" in refused.value.remedy
    assert runtime.logs("uid", "c") == ()


def test_it_needs_nothing_of_linux() -> None:
    wanted = "[m for m in ('pyroute2', 'aiohttp', 'fcntl') if m in sys.modules]"
    code = f"import sys, labs.sandbox.dataplane.model; print({wanted})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
