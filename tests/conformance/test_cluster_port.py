"""What every cluster must do that the grader is given, whatever carries it: one suite, run against each backend."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from content.errors import BrokenContentError
from content.model import Topology
from grader.errors import InfrastructureError, NotCapableError
from grader.ports import Outcome, Probe
from labs import registry
from labs.base import Phase, Request
from labs.sandbox.backend import SandboxBackend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from pathlib import Path

    from grader.ports import Cluster, Manifest
    from labs.base import Backend

OPEN, DROPPED, REFUSED = Outcome.OPEN, Outcome.DROPPED, Outcome.REFUSED


def namespace(name: str, **labels: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def pod(name: str, *ports: dict[str, Any], home: str = "shop", **labels: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": home, "name": name, "labels": {"app": name, **labels}},
        "spec": {"containers": [{"name": "main", "image": "registry.example/app:1", "ports": list(ports)}]},
    }


def service(name: str, port: dict[str, Any], app: str = "") -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": "shop", "name": name},
        "spec": {"selector": {"app": app or name}, "ports": [port], "ipFamilyPolicy": "PreferDualStack"},
    }


def policy(name: str, app: str, home: str = "shop", **spec: Any) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"namespace": home, "name": name},
        "spec": {"podSelector": {"matchLabels": {"app": app}}, **spec},
    }


HTTP = {"containerPort": 80, "name": "http"}
ADMIN = {"containerPort": 9000, "name": "admin"}
UDP = {"containerPort": 53, "protocol": "UDP"}
SCTP = {"containerPort": 80, "protocol": "SCTP", "name": "assoc"}
OBJECTS = (
    namespace("shop", team="a"),
    namespace("other", team="b"),
    pod("web", HTTP, ADMIN, UDP, SCTP),
    pod("db", {"containerPort": 5432, "name": "http"}),
    pod("client"),
    pod("client", home="other"),
    service("web", {"port": 8000, "targetPort": "http"}),
    service("names", {"port": 53, "protocol": "UDP"}, app="web"),
    service("nobody", {"port": 80}),
)
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.53"


class RealImages:
    """A cluster on which the pods above run what they say: a real server for each declared port."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def apply(self, objects: Iterable[Manifest]) -> None:
        await self._cluster.apply([real(item) for item in objects])


def real(item: Manifest) -> Manifest:
    """The same object with agnhost in its pods; a port that the image cannot serve is left out."""
    if item["kind"] == "Deployment":
        template = item["spec"]["template"]
        return {**item, "spec": {**item["spec"], "template": {**template, "spec": served(template["spec"])}}}
    return {**item, "spec": served(item["spec"])} if item["kind"] == "Pod" else item


def served(spec: dict[str, Any]) -> dict[str, Any]:
    containers = []
    for port in spec["containers"][0].get("ports", ()):
        number, protocol = port["containerPort"], port.get("protocol", "TCP")
        spare = number + 20000
        ports = {"TCP": (number, spare), "UDP": (spare, number)}.get(protocol)
        if ports:
            arguments = ["netexec", f"--http-port={ports[0]}", f"--udp-port={ports[1]}"]
            containers.append({"name": f"{protocol.lower()}-{number}", "args": arguments, "ports": [port]})
    found = containers or [{"name": "main", "args": ["pause"]}]
    return {
        **spec,
        "terminationGracePeriodSeconds": 0,
        "containers": [{"image": AGNHOST, "imagePullPolicy": "IfNotPresent", **each} for each in found],
    }


REAL = [pytest.mark.kind, pytest.mark.timeout(900)]
SANDBOX = ("model", "nftables")
PLACES = [
    "model",
    pytest.param("nftables", marks=pytest.mark.netns),
    pytest.param("kind", marks=REAL),
    pytest.param("kubeconfig", marks=REAL),
]


@pytest.fixture(scope="module", params=PLACES)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    home: Path = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as after:
        patch.setenv("NETDOJO_HOME", str(home))
        if request.param in {"kind", "kubeconfig"}:
            request.getfixturevalue("kind_bed")
        if request.param == "kubeconfig":
            below = registry.load("kind")
            after.callback(lambda: asyncio.run(below.stop("below", home / "below", delete=True)))
            theirs = asyncio.run(below.start(Request("below", Topology(nodes=2)), home / "below", print))
            patch.setenv("KUBECONFIG", str(theirs.kubeconfig))
            patch.setenv("NETDOJO_KUBECONFIG_YES", "1")
        backend = SandboxBackend(request.param) if request.param in SANDBOX else registry.load(request.param)
        after.callback(lambda: asyncio.run(backend.stop("conformance", home / "conformance", delete=True)))
        yield asyncio.run(start(backend, home / "conformance"))


async def start(backend: Backend, folder: Path) -> Cluster:
    """The suite's cluster, with what this backend and this machine can carry of its two families."""
    is_sandbox = backend.name == "sandbox"
    families = ("ipv4", "ipv6") if 6 in backend.can().families and has_ipv6(backend) else ("ipv4",)
    objects = OBJECTS if is_sandbox else tuple(real(item) for item in OBJECTS)
    hosts = ("bastion",) if "hosts" in backend.can().has else ()
    wanted = Request("conformance", Topology(nodes=2, families=families, hosts=hosts), objects, hosts, namespace="shop")
    running = await backend.start(wanted, folder, print)
    assert running.phase is Phase.READY
    found = await backend.connect(running)
    return found if is_sandbox else RealImages(found)  # type: ignore[return-value] # all but `apply` is the cluster's


def has_ipv6(backend: Backend) -> bool:
    """Whether this backend's pods may have IPv6 here: the sandbox has its own, a bed's nodes may have none."""
    return backend.name == "sandbox" or (backend.name == "kind" and "NETDOJO_TEST_IPV4_ONLY" not in os.environ)


@pytest.fixture(autouse=True)
def within_its_means(request: pytest.FixtureRequest, cluster: Cluster) -> None:
    """Skip what this cluster says that it cannot do."""
    given = getattr(request.node, "callspec", None)
    wanted = given.params if given else {}
    probe = wanted.get("probe")
    family = wanted.get("family", 4)
    protocol = wanted.get("protocol", "TCP")
    can = cluster.capabilities
    if family not in can.families:
        pytest.skip(f"{can.backend}: its pods have no IPv{family} addresses here")
    if protocol not in can.protocols:
        pytest.skip(f"{can.backend}: {protocol} cannot be probed here")
    about_hosts = "outside_host" in request.node.name or (probe is not None and probe.source.startswith("host:"))
    if about_hosts and "hosts" not in can.has:
        pytest.skip(f"{can.backend}: it has no outside hosts")


@contextlib.asynccontextmanager
async def applied(cluster: Cluster, *objects: Manifest) -> AsyncIterator[None]:
    await cluster.apply(objects)
    try:
        yield
    finally:
        await cluster.delete(objects)


async def outcomes(cluster: Cluster, *probes: Probe) -> list[Outcome]:
    return [seen.outcome for seen in await cluster.probe(probes)]


async def outcome(cluster: Cluster, *probe: Any) -> Outcome:
    (seen,) = await cluster.probe([Probe(*probe)])
    assert seen.outcome is not Outcome.ERROR, seen.detail
    return seen.outcome


async def test_what_it_says_of_itself(cluster: Cluster) -> None:
    can = cluster.capabilities
    assert can.backend in registry.names()
    assert can.simulated is (can.dataplane == "model")
    assert {4, 6} >= set(can.families) >= {4}
    assert "multi-node" in can.has


async def test_it_proves_that_policies_are_enforced(cluster: Cluster) -> None:
    await cluster.prove_enforcement()
    await cluster.prove_enforcement()


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize(("protocol", "port"), [("TCP", 80), ("TCP", 9000), ("UDP", 53), ("SCTP", 80), ("ICMP", 0)])
@pytest.mark.parametrize("source", ["shop/client", "other/client", "shop/web", "node:node-1", "node:node-2"])
async def test_without_policies_all_is_open(
    cluster: Cluster, source: str, protocol: str, port: int, family: int
) -> None:
    (seen,) = await cluster.probe([Probe(source, "shop/web", port, protocol, family)])
    assert seen.outcome is OPEN, seen.detail
    assert seen.answered_by == "shop/web"
    assert protocol != "ICMP" or not seen.seen_as


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
async def test_a_port_that_nobody_serves_is_refused(cluster: Cluster, protocol: str, family: int) -> None:
    assert await outcome(cluster, "shop/client", "shop/web", 81, protocol, family) is REFUSED


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize(("protocol", "port"), [("TCP", 80), ("UDP", 53), ("SCTP", 80), ("ICMP", 0)])
async def test_applied_means_enforced_and_deleted_means_open(
    cluster: Cluster, protocol: str, port: int, family: int
) -> None:
    flow = ("shop/client", "shop/web", port, protocol, family)
    async with applied(cluster, policy("closed", "web")):
        assert await outcome(cluster, *flow) is DROPPED
        assert await outcome(cluster, "shop/web", "shop/db", 5432) is OPEN
    assert await outcome(cluster, *flow) is OPEN


async def test_a_changed_policy_counts_at_once(cluster: Cluster) -> None:
    flows = [Probe("shop/client", "shop/web", port) for port in (80, 9000)]
    async with applied(cluster, policy("one", "web", ingress=[{"ports": [{"port": 80}]}])):
        assert await outcomes(cluster, *flows) == [OPEN, DROPPED]
        await cluster.apply([policy("one", "web", ingress=[{"ports": [{"port": "admin"}]}])])
        assert await outcomes(cluster, *flows) == [DROPPED, OPEN]


async def test_egress(cluster: Cluster) -> None:
    to_web = [{"to": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]
    async with applied(cluster, policy("out", "client", policyTypes=["Egress"], egress=to_web)):
        assert await outcomes(
            cluster,
            Probe("shop/client", "shop/web", 80),
            Probe("shop/client", "shop/db", 5432),
            Probe("other/client", "shop/db", 5432),
            Probe("shop/db", "shop/client", 1),
        ) == [OPEN, DROPPED, OPEN, REFUSED]


async def test_a_named_port_is_the_destinations(cluster: Cluster) -> None:
    both = {"podSelector": {}, "ingress": [{"ports": [{"port": "http"}]}]}
    named = {**policy("named", ""), "spec": both}
    async with applied(cluster, named):
        assert await outcomes(
            cluster,
            Probe("other/client", "shop/web", 80),
            Probe("other/client", "shop/db", 5432),
            Probe("other/client", "shop/web", 9000),
        ) == [OPEN, OPEN, DROPPED]


@pytest.mark.parametrize("family", [4, 6])
async def test_an_address_range_matches_pods(cluster: Cluster, family: int) -> None:
    addresses = {
        f"{item['metadata']['namespace']}/{item['metadata']['name']}": [e["ip"] for e in item["status"]["podIPs"]]
        for item in await cluster.snapshot()
        if item["kind"] == "Pod"
    }
    mine = next(ip for ip in addresses["shop/client"] if (":" in ip) == (family == 6))
    bits, everything = (128, "::/0") if family == 6 else (32, "0.0.0.0/0")
    flows = [Probe(f"{home}/client", "shop/web", 80, "TCP", family) for home in ("shop", "other")]
    only_me = {"from": [{"ipBlock": {"cidr": f"{mine}/{bits}"}}]}
    async with applied(cluster, policy("range", "web", ingress=[only_me])):
        assert await outcomes(cluster, *flows) == [OPEN, DROPPED]
    all_but_me = {"from": [{"ipBlock": {"cidr": everything, "except": [f"{mine}/{bits}"]}}]}
    async with applied(cluster, policy("range", "web", ingress=[all_but_me])):
        assert await outcomes(cluster, *flows) == [DROPPED, OPEN]


async def test_labels_of_pods_and_namespaces_count_as_they_are_now(cluster: Cluster) -> None:
    by_pod = {"from": [{"podSelector": {"matchLabels": {"role": "friend"}}}]}
    by_home = {"from": [{"namespaceSelector": {"matchLabels": {"team": "c"}}}]}
    flows = [Probe(f"{home}/client", "shop/web", 80) for home in ("shop", "other")]
    async with applied(cluster, policy("friends", "web", ingress=[by_pod, by_home])):
        assert await outcomes(cluster, *flows) == [DROPPED, DROPPED]
        await cluster.apply([pod("client", role="friend"), namespace("other", team="c")])
        assert await outcomes(cluster, *flows) == [OPEN, OPEN]
        await cluster.apply([pod("client"), namespace("other", team="b")])
        assert await outcomes(cluster, *flows) == [DROPPED, DROPPED]


async def test_a_new_pod_is_under_the_policies_that_select_it(cluster: Cluster) -> None:
    async with applied(cluster, policy("new", "late")), applied(cluster, pod("late", HTTP)):
        assert await outcomes(cluster, Probe("shop/client", "shop/late", 80), Probe("shop/late", "shop/web", 80)) == [
            DROPPED,
            OPEN,
        ]
    (seen,) = await cluster.probe([Probe("shop/client", "shop/late", 80)])
    assert seen.outcome is Outcome.ERROR


async def test_a_pod_made_again_has_its_name_and_its_openness(cluster: Cluster) -> None:
    for _ in range(3):
        async with applied(cluster, pod("again", HTTP)):
            assert await outcome(cluster, "shop/client", "shop/again", 80) is OPEN


async def test_a_node_always_reaches_its_own_pods(cluster: Cluster) -> None:
    nodes = {
        item["metadata"]["name"]: item["spec"]["nodeName"]
        for item in await cluster.snapshot()
        if item["kind"] == "Pod" and item["metadata"]["namespace"] == "shop"
    }
    names = {item["metadata"]["name"] for item in await cluster.snapshot() if item["kind"] == "Node"}
    own = nodes["web"]
    (other,) = names - {own}
    async with applied(cluster, policy("closed", "web")):
        flows = [Probe(f"node:{own}", "shop/web", 80), Probe(f"node:{other}", "shop/web", 80)]
        assert await outcomes(cluster, *flows) == [OPEN, DROPPED]


async def test_an_outside_host_is_judged_by_its_address(cluster: Cluster) -> None:
    flow = ("host:bastion", "shop/web", 80)
    assert await outcome(cluster, *flow) is OPEN
    async with applied(cluster, policy("inside", "web", ingress=[{"from": [{"namespaceSelector": {}}]}])):
        assert await outcome(cluster, *flow) is DROPPED
        assert await outcome(cluster, "other/client", "shop/web", 80) is OPEN


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize(("name", "port", "protocol"), [("web", 8000, "TCP"), ("names", 53, "UDP")])
async def test_a_service_leads_to_its_pod(cluster: Cluster, name: str, port: int, protocol: str, family: int) -> None:
    (seen,) = await cluster.probe([Probe("other/client", f"service:shop/{name}", port, protocol, family)])
    assert (seen.outcome, seen.answered_by) == (OPEN, "shop/web"), seen.detail


async def test_a_policy_is_judged_behind_the_service(cluster: Cluster) -> None:
    flow = ("shop/client", "service:shop/web", 8000)
    async with applied(cluster, policy("behind", "web", ingress=[{"ports": [{"port": 80}]}])):
        assert await outcome(cluster, *flow) is OPEN
    async with applied(cluster, policy("behind", "web", ingress=[{"ports": [{"port": 8000}]}])):
        assert await outcome(cluster, *flow) is DROPPED


async def test_a_service_without_pods_refuses(cluster: Cluster) -> None:
    assert await outcome(cluster, "shop/client", "service:shop/nobody", 80) is REFUSED


async def test_a_service_follows_its_pods(cluster: Cluster) -> None:
    flow = ("shop/client", "service:shop/nobody", 80)
    async with applied(cluster, pod("nobody", HTTP)):
        assert await outcome(cluster, *flow) is OPEN
    assert await outcome(cluster, *flow) is REFUSED


async def test_a_deployment_is_its_pods(cluster: Cluster) -> None:
    wanted: Manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": "shop", "name": "many"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "many"}},
            "template": {
                "metadata": {"labels": {"app": "many"}},
                "spec": {"containers": [{"name": "c", "image": "nginx", "ports": [{"containerPort": 80}]}]},
            },
        },
    }
    for replicas in (3, 1):
        await cluster.apply([{**wanted, "spec": {**wanted["spec"], "replicas": replicas}}])
        found = [
            f"shop/{item['metadata']['name']}"
            for item in await cluster.snapshot()
            if item["kind"] == "Pod" and item["metadata"].get("labels", {}).get("app") == "many"
        ]
        assert len(found) == replicas
        assert await outcomes(cluster, *(Probe("shop/client", ref, 80) for ref in found)) == [OPEN] * replicas
    await cluster.delete([wanted])
    assert not [i for i in await cluster.snapshot() if i["metadata"].get("labels", {}).get("app") == "many"]


async def test_a_snapshot_has_what_decides_traffic(cluster: Cluster) -> None:
    async with applied(cluster, policy("seen", "web")):
        snapshot = await cluster.snapshot()
    kinds = {item["kind"] for item in snapshot}
    assert kinds >= {"Namespace", "Node", "Pod", "Service", "NetworkPolicy"}
    assert len([item for item in snapshot if item["kind"] == "Node"]) == 2
    assert "kube-system" in {item["metadata"]["name"] for item in snapshot if item["kind"] == "Namespace"}


async def test_its_version_changes_with_every_change_and_with_nothing_else(cluster: Cluster) -> None:
    first = await cluster.version()
    await cluster.snapshot()
    await cluster.probe([Probe("shop/client", "shop/web", 80)])
    assert await cluster.version() == first
    async with applied(cluster, policy("seen", "web")):
        second = await cluster.version()
        assert second != first
    assert await cluster.version() not in {first, second}


async def test_applying_the_same_again_changes_nothing(cluster: Cluster) -> None:
    await cluster.apply(OBJECTS)
    before = await cluster.version()
    await cluster.apply(OBJECTS)
    assert await cluster.version() == before


async def test_deleting_what_is_not_there_is_fine(cluster: Cluster) -> None:
    await cluster.delete([policy("never", "was"), pod("nor-this")])


@pytest.mark.parametrize(
    "probe",
    [
        Probe("shop/nobody", "shop/web", 80),
        Probe("shop/client", "shop/nobody", 80),
        Probe("shop/client", "service:shop/none", 80),
        Probe("node:node-9", "shop/web", 80),
        Probe("host:none", "shop/web", 80),
    ],
    ids=str,
)
async def test_a_probe_that_cannot_be_made_is_an_error_and_no_answer(cluster: Cluster, probe: Probe) -> None:
    good = Probe("shop/client", "shop/web", 80)
    bad, fine = await cluster.probe([probe, good])
    assert (bad.outcome, bad.probe) == (Outcome.ERROR, probe)
    assert bad.detail
    assert (fine.outcome, fine.probe) == (OPEN, good)


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (policy("bad", "web", ingress=[{"from": [{"ipBlock": {"cidr": "10.0.0.0"}}]}]), "must be a valid CIDR value"),
        ({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x"}}, "Thing"),
        (policy("Bad_Name", "web"), "Invalid value"),
        (policy("x", "web", home="no-such-home"), "not found"),
        (policy("x", "web", typo=1), "unknown field|not declared in schema"),
    ],
    ids=["value", "kind", "name", "namespace", "field"],
)
async def test_a_refused_object_is_told_in_the_apis_words_and_the_others_are_applied(
    cluster: Cluster, manifest: Manifest, words: str
) -> None:
    beside = policy("beside", "db")
    with pytest.raises(BrokenContentError) as refused:
        await cluster.apply([manifest, beside])
    assert re.search(words, str(refused.value))
    assert await outcome(cluster, "shop/client", "shop/db", 5432) is DROPPED
    await cluster.delete([beside])


async def test_a_command_runs_in_its_pod_or_it_is_said_why_not(cluster: Cluster) -> None:
    if cluster.capabilities.simulated:
        with pytest.raises(NotCapableError, match="simulated"):
            await cluster.exec("shop/client", ["true"])
        return
    done = await cluster.exec("shop/client", ["sh", "-c", "hostname; cat; echo to-stderr >&2; exit 7"], stdin="in\n")
    assert (done.code, done.stdout, done.stderr) == (7, "client\nin\n", "to-stderr\n")
    missing = await cluster.exec("shop/client", ["no-such-command"])
    assert missing.code in {126, 127}


async def test_a_command_that_does_not_end_is_no_answer(cluster: Cluster) -> None:
    if cluster.capabilities.simulated:
        pytest.skip("a simulated cluster runs no commands")
    with pytest.raises(InfrastructureError, match="did not end within"):
        await cluster.exec("shop/client", ["sleep", "20"], seconds=0.5)


async def fetch(cluster: Cluster, name: str, seconds: int) -> str:
    """What a command in shop/client says of port 8000 there: open, time-out or no name."""
    if cluster.capabilities.backend == "sandbox":
        command = ["curl", "-sS", "--max-time", str(seconds), f"http://{name}:8000/"]
        done = await cluster.exec("shop/client", command)
        return {0: "open", 28: "time-out", 6: "no name"}.get(done.code, done.stderr)
    done = await cluster.exec("shop/client", ["/agnhost", "connect", f"{name}:8000", f"--timeout={seconds}s"])
    word = done.stderr.split(":")[0].strip()
    return "open" if done.code == 0 else {"TIMEOUT": "time-out", "DNS": "no name"}.get(word, done.stderr)


async def test_names_lead_to_services_inside_a_pod(cluster: Cluster) -> None:
    if cluster.capabilities.simulated:
        pytest.skip("a simulated cluster runs no commands")
    for name in ("web", "web.shop", "web.shop.svc.cluster.local"):
        assert await fetch(cluster, name, 5) == "open", name
    assert await fetch(cluster, "no-such-name", 5) == "no name"


async def test_a_policy_stops_a_command_in_a_pod(cluster: Cluster) -> None:
    if cluster.capabilities.simulated:
        pytest.skip("a simulated cluster runs no commands")
    async with applied(cluster, policy("closed", "web")):
        assert await fetch(cluster, "web", 1) == "time-out"


async def test_many_at_once_do_not_disturb_one_another(cluster: Cluster) -> None:
    async with applied(cluster, policy("closed", "db")):
        flows = [Probe("shop/client", "shop/web", 80), Probe("shop/client", "shop/db", 5432)] * 50
        seen = await asyncio.gather(*(cluster.probe(flows) for _ in range(4)), cluster.snapshot(), cluster.version())
        for observations in seen[:4]:
            assert [each.outcome for each in observations] == [OPEN, DROPPED] * 50  # type: ignore[union-attr]


@pytest.mark.timeout(1800)
async def test_change_after_change_counts_at_once(cluster: Cluster) -> None:
    """Whatever was changed: what the next probe sees is what was written, and never what was before it."""
    flows = [Probe(f"{home}/client", "shop/web", 80) for home in ("shop", "other")]
    friends = policy("friends", "web", ingress=[{"from": [{"podSelector": {"matchLabels": {"role": "friend"}}}]}])
    homes = {"namespaceSelector": {"matchLabels": {"team": "c"}}}
    wrong: list[str] = []

    async def expect(what: str, *wanted: Outcome) -> None:
        seen = await outcomes(cluster, *flows)
        if seen != list(wanted):
            wrong.append(f"round {turn}, {what}: {seen}")

    for turn in range(2 if cluster.capabilities.backend == "sandbox" else 13):
        await cluster.apply([policy("friends", "web")])
        await expect("a policy", DROPPED, DROPPED)
        await cluster.apply([friends])
        await expect("a rule that nobody matches", DROPPED, DROPPED)
        await cluster.apply([pod("client", role="friend")])
        await expect("a pod's label", OPEN, DROPPED)
        friends["spec"]["ingress"][0]["from"].append(homes)
        await cluster.apply([friends])
        await expect("another peer", OPEN, DROPPED)
        await cluster.apply([namespace("other", team="c")])
        await expect("a namespace's label", OPEN, OPEN)
        friends["spec"]["ingress"][0]["from"].pop()
        await cluster.apply([pod("client"), namespace("other", team="b"), friends])
        await expect("labels and rule", DROPPED, DROPPED)
        await cluster.delete([friends])
        await expect("no policy", OPEN, OPEN)
        await cluster.apply([policy("late", "late"), pod("late", HTTP)])
        late = await outcomes(cluster, Probe("shop/client", "shop/late", 80), Probe("shop/late", "shop/web", 80))
        if late != [DROPPED, OPEN]:
            wrong.append(f"round {turn}, a new pod: {late}")
        await cluster.delete([policy("late", "late"), pod("late")])
    assert wrong == []
