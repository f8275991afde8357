"""A cluster that somebody has left dirty: every change is found and undone, or the cluster is not handed out."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any

import pytest

from grader.errors import InfrastructureError
from labs.kind.emptiness import workloads
from labs.kube.api import Refused

if TYPE_CHECKING:
    from collections.abc import Callable


def thing(version: str, kind: str, name: str, namespace: str = "", **more: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name} | ({"namespace": namespace} if namespace else {})
    metadata |= {key: more.pop(key) for key in ("labels", "ownerReferences", "annotations") if key in more}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def changed(api: Any, kind: str, name: str, **fields: Any) -> None:
    item = copy.deepcopy(api.there(kind, name))
    for path, value in fields.items():
        at = item
        *parts, last = path.split("__")
        for part in parts:
            at = at.setdefault(part, {})
        at[last] = value
    api.put(item)


def policy(api: Any) -> None:
    api.put(thing("networking.k8s.io/v1", "NetworkPolicy", "deny", "default", spec={"podSelector": {}}))


def global_policy(api: Any) -> None:
    api.put(thing("crd.projectcalico.org/v1", "GlobalNetworkPolicy", "default.deny", spec={"selector": "all()"}))


def owned_policy(api: Any) -> None:
    owner = [{"kind": "Deployment", "name": "coredns"}]
    api.put(thing("networking.k8s.io/v1", "NetworkPolicy", "owned", "kube-system", ownerReferences=owner))


def owned_global_policy(api: Any) -> None:
    owner = [{"kind": "Namespace", "name": "default"}]
    api.put(thing("crd.projectcalico.org/v1", "GlobalNetworkPolicy", "default.owned", ownerReferences=owner))


def node_label(api: Any) -> None:
    node = next(i["metadata"]["name"] for (k, _, _), i in api.objects.items() if k.kind == "Node")
    changed(api, "Node", node, metadata__labels={"kubernetes.io/hostname": node, "dirty": "yes"})


def cordoned(api: Any) -> None:
    node = next(i["metadata"]["name"] for (k, _, _), i in api.objects.items() if k.kind == "Node")
    changed(api, "Node", node, spec__unschedulable=True)


def namespace_label(api: Any) -> None:
    changed(api, "Namespace", "kube-system", metadata__labels={"team": "bank"})


def felix(api: Any) -> None:
    changed(api, "FelixConfiguration", "default", spec__bpfEnabled=True)


def felix_gone(api: Any) -> None:
    del api.objects[next(key for key in api.objects if key[0].kind == "FelixConfiguration")]


def agent_env(api: Any) -> None:
    changed(api, "DaemonSet", "calico-node", spec__template__spec__nodeSelector={"non-calico": "true"})


def corefile(api: Any) -> None:
    changed(api, "ConfigMap", "coredns", data__Corefile="broken")


def leftover_pod(api: Any) -> None:
    api.put(thing("v1", "Pod", "left", "default", status={"conditions": [{"type": "Ready", "status": "True"}]}))


def stranger_in_the_system(api: Any) -> None:
    owner = [{"kind": "ReplicaSet", "name": "mine-1", "controller": True}]
    api.put(thing("v1", "Pod", "spy", "kube-system", ownerReferences=owner))


def label_on_a_system_pod(api: Any) -> None:
    changed(api, "Pod", "coredns-5d-a", metadata__labels={"k8s-app": "kube-dns", "app": "web"})


def webhook(api: Any) -> None:
    api.put(thing("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "no", webhooks=[]))


def role(api: Any) -> None:
    changed(api, "ClusterRole", "admin", rules=[{"verbs": ["*"]}])


def namespace(api: Any) -> None:
    api.put(thing("v1", "Namespace", "left"))
    api.put(thing("apps/v1", "Deployment", "d", "left", spec={"replicas": 1}))
    api.put(thing("v1", "Pod", "d-1", "left"))


DIRT = [
    policy,
    global_policy,
    owned_policy,
    owned_global_policy,
    node_label,
    cordoned,
    namespace_label,
    felix,
    felix_gone,
    agent_env,
    corefile,
    leftover_pod,
    stranger_in_the_system,
    label_on_a_system_pod,
    webhook,
    role,
    namespace,
]


def picture(api: Any) -> set[str]:
    """All objects, without their versions."""
    found = set()
    for (kind, home, name), item in api.objects.items():
        metadata = {k: v for k, v in item["metadata"].items() if k not in {"resourceVersion", "uid"} and v}
        found.add(f"{kind} {home}/{name} {metadata} {[v for k, v in sorted(item.items()) if k != 'metadata']}")
    return found


async def free(world: Any) -> Any:
    await world.backend().start(world.request(), world.lab(), str)
    await world.backend().stop("first", world.lab())
    (api,) = world.apis.values()
    return api


@pytest.mark.parametrize("dirt", DIRT, ids=lambda made: made.__name__)
async def test_dirt_is_found_named_and_undone_before_the_next_lab(world: Any, dirt: Callable[[Any], None]) -> None:
    api = await free(world)
    clean = picture(api)
    dirt(api)
    assert picture(api) != clean
    said: list[str] = []
    await world.backend().start(world.request("second", objects=()), world.lab("second"), said.append)
    assert any(line.startswith("undoing: ") for line in said)
    # A pod with a stranger's label goes for good here: nothing makes it again.
    assert picture(api) == clean or dirt is label_on_a_system_pod
    assert sum(run[0] == "create" for run in world.runs) == 1


@pytest.mark.parametrize("dirt", DIRT, ids=lambda made: made.__name__)
async def test_dirt_of_a_lab_is_undone_when_it_ends(world: Any, dirt: Callable[[Any], None]) -> None:
    await world.backend().start(world.request(objects=()), world.lab(), str)
    (api,) = world.apis.values()
    clean = picture(api)
    dirt(api)
    await world.backend().stop("first", world.lab())
    assert picture(api) == clean or dirt is label_on_a_system_pod


async def test_a_clean_cluster_is_written_to_by_nobody(world: Any) -> None:
    api = await free(world)
    api.calls.clear()
    await world.backend().start(world.request("second", objects=()), world.lab("second"), str)
    assert api.calls == []


async def test_what_changes_by_itself_is_no_dirt(world: Any) -> None:
    api = await free(world)
    api.put(thing("v1", "Event", "e", "default"))
    changed(api, "Node", next(n for (k, _, n) in api.objects if k.kind == "Node"), status__addresses=[{"a": "b"}])
    changed(api, "Deployment", "coredns", metadata__annotations={"deployment.kubernetes.io/revision": "7"})
    api.put(thing("v1", "Namespace", "netdojo-canary"))
    api.put(thing("v1", "Pod", "client-1", "netdojo-canary"))
    api.put(thing("crd.projectcalico.org/v1", "GlobalNetworkPolicy", "default.netdojo-canary", spec={}))
    said: list[str] = []
    await world.backend().start(world.request("second", objects=()), world.lab("second"), said.append)
    assert not [line for line in said if "undoing" in line]
    assert api.there("Namespace", "netdojo-canary")


async def test_what_cannot_be_undone_is_removed_and_never_handed_out(world: Any) -> None:
    api = await free(world)
    felix(api)
    api.refuses["FelixConfiguration"] = Refused(403, "Forbidden", "not for you")
    said: list[str] = []
    await world.backend().start(world.request("second", objects=()), world.lab("second"), said.append)
    assert any("does not come back" in line and "not for you" in line for line in said)
    assert sum(run[0] == "create" for run in world.runs) == 2
    assert api not in world.apis.values()


async def test_an_empty_matrix_that_is_not_what_it_was_is_not_handed_out(world: Any) -> None:
    await free(world)
    world.closed.add("service:kube-system/kube-dns")
    said: list[str] = []
    await world.backend().start(world.request("second", objects=()), world.lab("second"), said.append)
    assert any("the empty matrix is not what it was" in line and "DNS by its Service" in line for line in said)
    assert sum(run[0] == "create" for run in world.runs) == 2


async def test_traffic_is_looked_at_again_once_the_policy_that_stopped_it_is_gone(world: Any) -> None:
    api = await free(world)

    class NobodyWhileDenied:
        def __contains__(self, _destination: str) -> bool:
            return any(kind.kind == "NetworkPolicy" for kind, _, _ in api.objects)

    policy(api)
    world.closed = NobodyWhileDenied()
    await world.backend().start(world.request("next"), world.lab("next"), str)
    assert list(world.apis.values()) == [api]


@pytest.mark.parametrize("new", [True, False])
async def test_a_labs_workloads_start_while_the_matrix_is_looked_at_and_its_policies_after_it(
    world: Any, new: bool
) -> None:
    if not new:
        await free(world)
    step = "remember" if new else "glance"
    looking = world.stop_at(step)
    objects = (
        thing("v1", "Namespace", "bank"),
        thing("v1", "Pod", "web", "bank", status={"conditions": [{"type": "Ready", "status": "True"}]}),
        thing("networking.k8s.io/v1", "NetworkPolicy", "deny", "bank", spec={"podSelector": {}}),
    )
    starting = asyncio.ensure_future(
        world.backend().start(world.request("bank", objects=objects), world.lab("bank"), str)
    )
    await asyncio.wait_for(looking.wait(), 5)
    (api,) = world.apis.values()
    for _ in range(1000):  # turns for whatever else can go on
        await asyncio.sleep(0)
        if any(name == "web" for _, _, name in api.objects):
            break
    assert [name for _, home, name in api.objects if home == "bank"] == ["web"]
    world.pause[step].set()
    await asyncio.wait_for(starting, 5)
    assert [name for _, home, name in api.objects if home == "bank"] == ["web", "deny"]


async def test_a_clean_cluster_is_only_glanced_at(world: Any) -> None:
    api = await free(world)
    proven = world.stop_at("remember")
    await asyncio.wait_for(world.backend().start(world.request("next"), world.lab("next"), str), 5)
    assert not proven.is_set()
    assert list(world.apis.values()) == [api]


@pytest.mark.parametrize("why", ["it was dirty", "the glance failed", "the glance shows another matrix"])
async def test_all_is_proven_where_a_glance_does_not_tell(world: Any, why: str) -> None:
    api = await free(world)
    proven = world.stop_at("remember")
    if why == "it was dirty":
        policy(api)
    elif why == "the glance failed":
        world.fails["glance"] = InfrastructureError("a change did not arrive within 15 s")
    else:
        world.closed.add("service:kube-system/kube-dns")
    starting = asyncio.ensure_future(world.backend().start(world.request("next"), world.lab("next"), str))
    await asyncio.wait_for(proven.wait(), 5)
    world.closed.clear()
    world.pause["remember"].set()
    await asyncio.wait_for(starting, 5)
    assert list(world.apis.values()) == [api]


async def test_what_a_lab_began_goes_with_a_cluster_that_is_not_as_it_was(world: Any) -> None:
    first = await free(world)
    world.closed.add("service:kube-system/kube-dns")
    starting = world.stop_at("begin")
    running = asyncio.ensure_future(world.backend().start(world.request("next"), world.lab("next"), str))
    await asyncio.wait_for(starting.wait(), 5)
    world.pause["begin"].set()
    await asyncio.wait_for(running, 5)
    assert first not in world.apis.values()


async def test_a_dataplane_that_was_switched_and_stayed_is_not_handed_out(world: Any) -> None:
    await free(world)
    world.ebpf = True
    said: list[str] = []
    await world.backend().start(world.request("second", objects=()), world.lab("second"), said.append)
    assert any("runs eBPF programs" in line for line in said)
    assert sum(run[0] == "create" for run in world.runs) == 2


async def test_a_rule_that_somebody_left_on_a_node_is_not_handed_out(world: Any) -> None:
    await free(world)
    world.rules = ("-A FORWARD -p tcp --dport 80 -j DROP",)
    said: list[str] = []
    await world.backend().start(world.request("second", objects=()), world.lab("second"), said.append)
    assert any("has the rule -A FORWARD -p tcp --dport 80 -j DROP" in line for line in said)
    assert sum(run[0] == "create" for run in world.runs) == 2


async def test_what_the_cluster_itself_lacks_is_waited_for_before_the_lab_begins(world: Any) -> None:
    """Else a lab's own workload that is never ready would pass for a fault of the cluster."""
    api = await free(world)
    there = copy.deepcopy(api.there("Deployment", "coredns"))
    api.put({**there, "status": {**there.get("status", {}), "readyReplicas": 0, "observedGeneration": -1}})
    begun = world.stop_at("begin")
    starting = asyncio.ensure_future(world.backend().start(world.request("b"), world.lab("b"), str))
    waiting = asyncio.ensure_future(begun.wait())
    done, _ = await asyncio.wait({waiting}, timeout=0.3)
    assert not done
    api.put(there)
    await asyncio.wait_for(waiting, 5)
    world.pause["begin"].set()
    await asyncio.wait_for(starting, 5)
    assert list(world.apis.values()) == [api]


async def test_what_other_servers_give_is_known_before_the_lab_begins(world: Any) -> None:
    """Their APIs may be available, and discovery not know their kinds: a lab that has some would be refused."""
    api = await free(world)
    every, api.kinds = api.kinds, tuple(each for each in api.kinds if each.group != "projectcalico.org")
    begun = world.stop_at("begin")
    starting = asyncio.ensure_future(world.backend().start(world.request("b"), world.lab("b"), str))
    waiting = asyncio.ensure_future(begun.wait())
    done, _ = await asyncio.wait({waiting}, timeout=0.3)
    assert not done
    api.kinds = every
    await asyncio.wait_for(waiting, 5)
    world.pause["begin"].set()
    await asyncio.wait_for(starting, 5)
    assert list(world.apis.values()) == [api]


@pytest.mark.parametrize(
    ("kinds", "begun"),
    [
        (("Namespace", "Deployment", "Service", "NetworkPolicy"), ("Namespace", "Deployment")),
        (("Namespace", "Pod", "IPPool"), ()),
        (("Namespace", "Pod", "LimitRange"), ()),
        (("Namespace", "Pod", "MutatingWebhookConfiguration"), ()),
    ],
)
def test_what_decides_on_pods_is_there_before_them(kinds: tuple[str, ...], begun: tuple[str, ...]) -> None:
    objects = [thing("v1", kind, "x") for kind in kinds]
    assert tuple(item["kind"] for item in workloads(objects)) == begun


async def test_what_never_passed_is_the_clusters_own_affair(world: Any) -> None:
    world.closed.add("service:kube-system/kube-dns")
    await free(world)
    await world.backend().start(world.request("second", objects=()), world.lab("second"), str)
    assert sum(run[0] == "create" for run in world.runs) == 1


async def test_a_forgotten_picture_proves_nothing(world: Any) -> None:
    await free(world)
    for file in (world.folder / "pool").glob("*/baseline.json"):
        file.write_text("{}", encoding="utf-8")
    await world.backend().start(world.request("second", objects=()), world.lab("second"), str)
    assert sum(run[0] == "create" for run in world.runs) == 2


async def test_pods_of_a_namespace_that_goes_end_at_once_and_after_their_makers(world: Any) -> None:
    api = await free(world)
    namespace(api)
    api.calls.clear()
    await world.backend().start(world.request("second", objects=()), world.lab("second"), str)
    assert api.calls == ["delete Deployment left/d", "delete Pod left/d-1 at once", "delete Namespace /left"]
