"""Labs on real kind clusters: one from start to grade, ten on one cluster, dirt, and ends that nobody planned."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from content.load import find_lab
from content.model import Topology
from labs import store
from labs.base import Phase, Request
from labs.kind import config, dockersdk, settings, state
from labs.kind.backend import KindBackend
from labs.kind.calico import sources
from labs.kind.engine import KIND_CLUSTER
from labs.session import LabSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.kind, pytest.mark.slow, pytest.mark.timeout(900)]

IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.53"


@pytest.fixture(scope="module")
def own_home(tmp_path_factory: pytest.TempPathFactory, kind_bed: None) -> Iterator[Path]:
    """A home whose clusters these tests share, and remove at the end."""
    del kind_bed
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETDOJO_HOME", str(home))
        yield home
        asyncio.run(remove_all())


async def remove_all() -> None:
    backend = KindBackend()
    for record in backend._pool.records():
        await backend._clusters().give_back(record.name, print, delete=True)


def records() -> tuple[state.Record, ...]:
    return state.Pool(store.folders().state / "kind").records()


def request(name: str, *objects: dict[str, Any], nodes: int = 1) -> Request:
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"ns-{name}"}}
    container = {"name": "main", "image": IMAGE, "args": ["netexec", "--http-port=80", "--udp-port=-1"]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": f"ns-{name}"},
        "spec": {"containers": [container]},
    }
    return Request(name, Topology(nodes=nodes), (space, pod, *objects), namespace=f"ns-{name}")


async def start(name: str, said: list[str] | None = None) -> None:
    running = await KindBackend().start(
        request(name), store.cluster_folder(name, "kind"), (said if said is not None else []).append
    )
    assert running.phase is Phase.READY


async def stop(name: str, *, delete: bool = False) -> None:
    await KindBackend().stop(name, store.cluster_folder(name, "kind"), delete=delete)


def kubectl(*arguments: str) -> str:
    """On the one cluster that there is."""
    (record,) = records()
    config = store.folders().state / "kind" / record.name / "kubeconfig"
    done = subprocess.run(
        ["kubectl", "--kubeconfig", config, *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_lab_from_its_start_to_full_points(own_home: Path) -> None:
    lab = find_lab("first-policy")
    session = LabSession(lab, KindBackend(), store.cluster_folder(lab.id, "kind"), own_home / "work")
    try:
        assert (await session.start(print)).phase is Phase.READY
        before = await session.grade()
        assert not any(task.held for task in before.tasks)
        for file in lab.solution:
            assert (await session.kubectl("apply", "-f", str(file.path))).code == 0
        after = await session.grade()
        assert all(task.held for task in after.tasks)
        await session.stop()
        assert [record.stage.value for record in records()] == ["free"]
    finally:
        await remove_all()


async def test_a_lab_is_judged_while_calicos_api_server_is_away(own_home: Path) -> None:
    """What it gives is read as the cluster keeps it; nobody takes the cluster for one without Calico's policies."""
    lab = find_lab("first-policy")
    server = ("-n", "calico-apiserver", "scale", "deployment", "calico-apiserver")

    def session() -> LabSession:
        return LabSession(lab, KindBackend(), store.cluster_folder(lab.id, "kind"), own_home / "work")

    try:
        await session().start(print)
        for file in lab.solution:
            kubectl("apply", "-n", lab.spec.namespace, "-f", str(file.path))
        kubectl(*server, "--replicas=0")
        kubectl("wait", "apiservice/v3.projectcalico.org", "--for=condition=Available=false", "--timeout=60s")
        assert all(task.held for task in (await session().grade()).tasks)
        await session().stop()
        assert [record.stage.value for record in records()] == ["free"]
        await session().start(print)
        assert "globalnetworkpolicies.projectcalico.org" in kubectl("api-resources", "-o", "name")
        assert len(records()) == 1
        await session().stop()
    finally:
        await remove_all()


async def test_ten_labs_one_after_the_other_on_one_cluster(own_home: Path) -> None:
    del own_home
    for number in range(10):
        name, began = f"lab-{number}", time.monotonic()
        await start(name)
        print(f"{name}: {time.monotonic() - began:.1f} s")
        assert kubectl("get", "namespaces", "-o", "name").count("namespace/ns-") == 1
        (record,) = records()
        if number == 0:
            first = record.nodes
        assert record.nodes == first
        await stop(name)


def docker(*arguments: str) -> None:
    subprocess.run(["docker", *arguments], check=True, capture_output=True, timeout=120)


POLICY = (
    '{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"d"},"spec":{"podSelector":{}}}'
)


def extra_policy() -> None:
    subprocess.run(
        ["kubectl", "--kubeconfig", kubeconfig(), "-n", "kube-system", "apply", "-f", "-"],
        input=POLICY,
        text=True,
        check=True,
    )


def kubeconfig() -> Path:
    return store.folders().state / "kind" / records()[0].name / "kubeconfig"


DIRT: dict[str, tuple[Callable[[], object], str]] = {
    "an extra policy": (extra_policy, "networkpolicies.networking.k8s.io kube-system/d was added"),
    "a label on a node": (lambda: kubectl("label", "nodes", "--all", "dirty=yes"), "was changed"),
    "a Felix setting": (
        lambda: kubectl(
            "patch",
            "felixconfigurations.crd.projectcalico.org",
            "default",
            "--type=merge",
            '-p={"spec":{"defaultEndpointToHostAction":"Drop"}}',
        ),
        "felixconfigurations.crd.projectcalico.org default was changed",
    ),
    "a leftover pod": (lambda: kubectl("run", "left", f"--image={IMAGE}", "--", "pause"), "pods default/left"),
    "calico-node's pod gone": (lambda: kubectl("-n", "kube-system", "delete", "pod", "-l", "k8s-app=calico-node"), ""),
    "calico-node gone": (
        lambda: kubectl("-n", "kube-system", "delete", "daemonset", "calico-node"),
        "daemonsets.apps kube-system/calico-node was removed",
    ),
    "DNS scaled away": (
        lambda: kubectl("-n", "kube-system", "scale", "deployment", "coredns", "--replicas=0"),
        "deployments.apps kube-system/coredns was changed",
    ),
}


@pytest.mark.parametrize("dirt", DIRT)
async def test_a_dirty_cluster_is_repaired_or_made_anew_and_never_handed_out(own_home: Path, dirt: str) -> None:
    del own_home
    if not records():
        await start("before")
        await stop("before")
    makes_dirty, said_of_it = DIRT[dirt]
    makes_dirty()
    said: list[str] = []
    await start("after", said)
    try:
        print("\n".join(said))
        assert any(said_of_it in line for line in said)
        assert "dirty" not in kubectl("get", "nodes", "--show-labels")
        assert "Drop" not in kubectl("get", "felixconfigurations.crd.projectcalico.org", "default", "-o", "yaml")
        assert "left" not in kubectl("get", "pods", "-n", "default", "-o", "name")
        assert kubectl("get", "networkpolicies", "-n", "kube-system", "-o", "name") == ""
        assert "coredns" in kubectl("get", "pods", "-n", "kube-system", "--field-selector=status.phase=Running")
    finally:
        await stop("after")


START = """
import asyncio, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background would ignore it
from content.model import Topology
from labs import store
from labs.base import Request
from labs.kind.backend import KindBackend
from labs.kind.calico import sources
space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
request = Request("ended", Topology(), (space,))
def tell(line):
    print(line, flush=True)
async def main():
    await KindBackend().start(request, store.cluster_folder("ended", "kind"), tell)
asyncio.run(main())
"""
MOMENTS = (
    "Preparing nodes",
    "Starting control-plane",
    "images into the nodes",
    "waiting for Calico",
    "keeping",
    "applying",
)


def start_and_end(moment: str, number: signal.Signals) -> None:
    """Start a lab in a process of its own, and signal it when it has told of this moment."""
    process = subprocess.Popen(
        [sys.executable, "-c", START], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if moment in line:
            process.send_signal(number)
            break
    else:
        pytest.fail(f"it never came to {moment!r}")
    process.stdout.close()
    process.wait(120)


async def clusters_here() -> set[str]:
    """The clusters of this topology and home that Docker has, whatever the records say."""
    chosen = settings.load()
    plan = config.plan_of(Topology(), chosen, sources.of(chosen).identity())
    prefix = f"netdojo-{config.key(plan, KindBackend()._home)}-"
    found = {one.labels[KIND_CLUSTER] for one in await dockersdk.connect().containers({KIND_CLUSTER: None})}
    return {name for name in found if name.startswith(prefix)}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("moment", MOMENTS)
async def test_whenever_a_start_ends_the_next_command_goes_on(
    own_home: Path, moment: str, number: signal.Signals
) -> None:
    del own_home
    await remove_all()
    await asyncio.to_thread(start_and_end, moment, number)
    folder = store.cluster_folder("ended", "kind")
    if number == signal.SIGINT:
        assert not folder.exists()
    assert (await KindBackend().find("ended", folder)).phase is Phase.ABSENT
    assert not folder.exists()
    assert {record.stage for record in records()} <= {state.Stage.FREE}
    assert await clusters_here() == {record.name for record in records()}
    assert len(records()) == (1 if moment == "applying" else 0)


async def test_a_cluster_removed_by_hand_and_a_stopped_node_are_noticed(own_home: Path) -> None:
    del own_home
    await remove_all()
    await start("broken")
    folder = store.cluster_folder("broken", "kind")
    (record,) = records()
    docker("stop", "-t", "0", f"{record.name}-control-plane")
    found = await KindBackend().find("broken", folder)
    assert (found.phase, "Docker may have been restarted" in found.detail) == (Phase.BROKEN, True)
    docker("rm", "-f", "-v", f"{record.name}-control-plane")
    found = await KindBackend().find("broken", folder)
    assert (found.phase, "was removed" in found.detail) == (Phase.BROKEN, True)
    await start("broken")
    (again,) = records()
    assert again.nodes != record.nodes
    await stop("broken", delete=True)
    assert records() == ()
