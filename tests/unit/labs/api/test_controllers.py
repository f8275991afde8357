"""Controllers: from manifests to pods, addresses, endpoints and a programmed dataplane."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from labs.sandbox.api import deletion, kinds
from labs.sandbox.controllers.addresses import PodAddresses

if TYPE_CHECKING:
    from collections.abc import Callable

SLICES = "endpointslices.discovery.k8s.io"


def workload(kind: str = "Deployment", name: str = "web", image: str = "nginx", **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    port = {"containerPort": 80, "name": "http"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "main", "image": image, "ports": [port]}], **spec.pop("pod", {})},
    }
    metadata = {"name": name, "namespace": "shop"}
    body = {"selector": {"matchLabels": labels}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": body}


def service(name: str = "web", target: Any = "http", **spec: Any) -> dict[str, Any]:
    body = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": target}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"}, "spec": body}


def images(cluster: Any) -> list[str]:
    return sorted(pod["spec"]["containers"][0]["image"] for pod in cluster.pods())


def test_a_cluster_has_nodes_dns_and_the_apis_service(make_cluster: Callable[..., Any]) -> None:
    cluster = make_cluster(nodes=3, families=(4, 6), hosts=("bastion",))
    assert [node.name for node in cluster.runtime.nodes] == cluster.names("nodes", "") == ["node-1", "node-2", "node-3"]
    assert [len(host.addresses) for host in cluster.runtime.hosts] == [2]
    dns = cluster.store.get("services", "kube-system", "kube-dns")
    assert dns["spec"]["clusterIPs"] == ["10.96.0.10", "fd00:10:96::a"]
    assert cluster.store.get("services", "default", "kubernetes")["spec"]["clusterIP"] == "10.96.0.1"
    assert [pod["metadata"]["labels"]["k8s-app"] for pod in cluster.pods("kube-system")] == ["kube-dns"]
    assert cluster.store.list(SLICES, "kube-system")[0]["endpoints"][0]["conditions"]["ready"]


@pytest.mark.parametrize(("carried", "expected"), [((4, 6), 2), ((4,), 1)])
def test_families_that_the_runtime_does_not_carry_are_left_out(
    make_cluster: Callable[..., Any], carried: tuple[int, ...], expected: int
) -> None:
    cluster = make_cluster(families=(4, 6), carried=carried)
    assert len(cluster.store.list("nodes")[0]["spec"]["podCIDRs"]) == expected
    assert len(cluster.store.get("services", "kube-system", "kube-dns")["spec"]["clusterIPs"]) == expected


def test_a_deployment_becomes_running_pods_spread_over_nodes(cluster: Any) -> None:
    status = cluster.apply(workload(replicas=4))["status"]
    assert (status["replicas"], status["readyReplicas"], status["updatedReplicas"]) == (4, 4, 4)
    assert Counter(pod["spec"]["nodeName"] for pod in cluster.pods()) == {"node-1": 2, "node-2": 2}
    assert {pod["status"]["phase"] for pod in cluster.pods()} == {"Running"}
    assert len({pod["status"]["podIP"] for pod in cluster.pods()}) == 4
    carried = {spec.name for spec in cluster.runtime.pods.values()}
    assert {pod["metadata"]["name"] for pod in cluster.pods()} <= carried


def test_the_first_pod_of_a_lab_is_on_the_first_node(cluster: Any) -> None:
    cluster.apply(workload(replicas=1))
    assert cluster.pods()[0]["spec"]["nodeName"] == "node-1"


@pytest.mark.parametrize("strategy", ["RollingUpdate", "Recreate"])
def test_a_new_template_replaces_all_pods_and_undo_brings_the_old_back(cluster: Any, strategy: str) -> None:
    cluster.apply(workload(replicas=3, strategy={"type": strategy}))
    first = cluster.names("replicasets.apps")
    deployment = cluster.apply(workload(replicas=3, image="nginx:2", strategy={"type": strategy}))
    assert images(cluster) == ["nginx:2"] * 3
    assert len(cluster.runtime.pods) == 3 + 1
    assert deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    cluster.apply(workload(replicas=3, strategy={"type": strategy}))
    assert images(cluster) == ["nginx"] * 3
    assert set(first) < set(cluster.names("replicasets.apps"))
    again = cluster.store.get("replicasets.apps", "shop", first[0])
    assert again["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"


def test_old_pods_stay_while_new_ones_cannot_start(cluster: Any) -> None:
    cluster.apply(workload(replicas=2))
    cluster.runtime.refuse = "web"
    status = cluster.apply(workload(replicas=2, image="nginx:2"))["status"]
    ready = [pod for pod in cluster.pods() if pod["status"]["phase"] == "Running"]
    assert {pod["spec"]["containers"][0]["image"] for pod in ready} == {"nginx"}
    assert status["readyReplicas"] == 2


def test_scaling_and_history(cluster: Any) -> None:
    cluster.apply(workload(replicas=5))
    kept = {pod["metadata"]["uid"] for pod in cluster.pods()}
    cluster.apply(workload(replicas=2))
    assert {pod["metadata"]["uid"] for pod in cluster.pods()} < kept
    for number in range(5):
        cluster.apply(workload(replicas=1, image=f"nginx:{number}", revisionHistoryLimit=2))
    assert len(cluster.names("replicasets.apps")) == 3


def test_a_deleted_pod_is_replaced_and_its_address_is_not_given_again_at_once(cluster: Any) -> None:
    cluster.apply(workload(replicas=1))
    old = cluster.pods()[0]
    cluster.delete("Pod", old["metadata"]["name"])
    new = cluster.pods()[0]
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert old["metadata"]["uid"] not in cluster.runtime.pods
    assert new["status"]["podIP"] != old["status"]["podIP"]


def test_a_pod_that_fits_is_adopted(cluster: Any) -> None:
    metadata = {"name": "loose", "namespace": "shop", "labels": {"app": "web"}}
    spec = {"containers": [{"name": "main", "image": "nginx"}]}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    cluster.apply(workload("ReplicaSet", replicas=2))
    assert "loose" in cluster.names("pods")
    assert len(cluster.pods()) == 2


def test_a_pod_that_is_relabelled_is_let_go_and_replaced(cluster: Any) -> None:
    cluster.apply(workload(replicas=2))
    pod = cluster.pods()[0]
    labels = {**pod["metadata"]["labels"], "app": "out"}
    cluster.store.put("pods", {**pod, "metadata": {**pod["metadata"], "labels": labels}})
    cluster.settle()
    assert len(cluster.pods()) == 3
    assert "ownerReferences" not in cluster.store.get("pods", "shop", pod["metadata"]["name"])["metadata"]


def test_a_deployment_takes_back_what_an_earlier_one_left(cluster: Any) -> None:
    cluster.apply(workload(replicas=2))
    before = {pod["metadata"]["uid"] for pod in cluster.pods()}
    how = deletion.Deletion(propagation="Orphan")
    deletion.delete(cluster.resources, kinds.BY_RESOURCE["deployments.apps"], "shop", "web", how)
    cluster.settle()
    cluster.apply(workload(replicas=2))
    assert {pod["metadata"]["uid"] for pod in cluster.pods()} == before
    assert len(cluster.names("replicasets.apps")) == 1


def test_what_the_api_refuses_a_controller_stops_nobody_else(cluster: Any) -> None:
    cluster.apply(workload("ReplicaSet", "other", replicas=0))
    taken = cluster.store.get("replicasets.apps", "shop", "other")
    cluster.apply(workload(replicas=1))
    mine = cluster.names("replicasets.apps")[-1]
    cluster.delete("Deployment", "web")
    metadata = {**taken["metadata"], "name": mine, "uid": "another", "ownerReferences": []}
    cluster.store.put("replicasets.apps", {**taken, "metadata": metadata})
    cluster.apply(workload(replicas=1))
    cluster.apply(workload(name="good", replicas=1))
    assert [pod["metadata"]["labels"]["app"] for pod in cluster.pods()] == ["good"]


def test_a_stateful_set_numbers_its_pods_and_replaces_them_from_the_last(cluster: Any) -> None:
    body = workload("StatefulSet", "db", replicas=3, serviceName="db")
    status = cluster.apply(body)["status"]
    assert cluster.names("pods") == ["db-0", "db-1", "db-2"]
    assert (status["readyReplicas"], status["currentRevision"]) == (3, status["updateRevision"])
    assert cluster.pods()[1]["spec"]["hostname"] == "db-1"
    kept = cluster.pods()[0]["metadata"]["uid"]
    partition = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    cluster.apply(workload("StatefulSet", "db", "nginx:2", replicas=3, serviceName="db", updateStrategy=partition))
    assert images(cluster) == ["nginx", "nginx:2", "nginx:2"]
    assert cluster.pods()[0]["metadata"]["uid"] == kept
    cluster.apply(workload("StatefulSet", "db", "nginx:2", replicas=1, serviceName="db", updateStrategy=partition))
    assert cluster.names("pods") == ["db-0"]


def test_a_daemon_set_has_a_pod_on_every_node_that_fits(make_cluster: Callable[..., Any]) -> None:
    cluster = make_cluster(nodes=3)
    cluster.apply(workload("DaemonSet", "agent"))
    assert sorted(pod["spec"]["nodeName"] for pod in cluster.pods()) == ["node-1", "node-2", "node-3"]
    selected = {"nodeSelector": {"kubernetes.io/hostname": "node-2"}}
    status = cluster.apply(workload("DaemonSet", "agent", pod=selected))["status"]
    assert [pod["spec"]["nodeName"] for pod in cluster.pods()] == ["node-2"]
    assert (status["desiredNumberScheduled"], status["numberReady"]) == (1, 1)


def test_a_pod_that_fits_no_node_waits_and_an_event_says_why(cluster: Any) -> None:
    cluster.apply(workload(replicas=1, pod={"nodeSelector": {"disk": "fast"}}))
    waiting = cluster.pods()[0]
    assert waiting["status"]["phase"] == "Pending"
    reasons = {event["reason"]: event["message"] for event in cluster.store.list("events", "shop")}
    assert reasons["FailedScheduling"].startswith("0/2 nodes are available: 2 node(s) didn't match")
    node = cluster.store.get("nodes", "", "node-2")
    labels = {**node["metadata"]["labels"], "disk": "fast"}
    cluster.store.put("nodes", {**node, "metadata": {**node["metadata"], "labels": labels}})
    cluster.settle()
    assert cluster.pods()[0]["spec"]["nodeName"] == "node-2"


def test_a_pod_that_the_runtime_refuses_says_so_and_the_others_run(cluster: Any) -> None:
    cluster.runtime.refuse = "bad"
    cluster.apply(workload(name="bad", replicas=1))
    cluster.apply(workload(name="good", replicas=1))
    phases = {pod["metadata"]["labels"]["app"]: pod["status"]["phase"] for pod in cluster.pods()}
    assert phases == {"bad": "Pending", "good": "Running"}
    told = [event["message"] for event in cluster.store.list("events", "shop") if event["type"] == "Warning"]
    assert told == ["Failed to create pod sandbox: the kernel has no room"]


def test_host_network_pods_have_their_nodes_address(cluster: Any) -> None:
    cluster.apply(workload(replicas=1, pod={"hostNetwork": True}))
    pod = cluster.pods()[0]
    assert pod["status"]["podIP"] == pod["status"]["hostIP"] == "172.18.0.2"
    assert cluster.runtime.pods[pod["metadata"]["uid"]].host_network


@pytest.mark.parametrize(
    ("target", "port"),
    [("http", 80), (8080, 8080), ("nope", None)],
)
def test_endpoints_follow_pods_and_named_ports(cluster: Any, target: Any, port: int | None) -> None:
    cluster.apply(workload(replicas=2))
    cluster.apply(service(target=target))
    (found,) = cluster.store.list(SLICES, "shop")
    if port is None:
        assert found["ports"] == []
        assert cluster.store.get("endpoints", "shop", "web").get("subsets") is None
        return
    assert [item["port"] for item in found["ports"]] == [port]
    addresses = sorted(address for endpoint in found["endpoints"] for address in endpoint["addresses"])
    assert addresses == sorted(pod["status"]["podIP"] for pod in cluster.pods())
    cluster.apply(workload(replicas=0))
    (found,) = cluster.store.list(SLICES, "shop")
    assert found["endpoints"] == []
    assert "subsets" not in cluster.store.get("endpoints", "shop", "web")


def test_both_families_have_slices_of_their_own(make_cluster: Callable[..., Any]) -> None:
    cluster = make_cluster(families=(4, 6))
    cluster.apply(workload(replicas=1))
    cluster.apply(service(ipFamilyPolicy="RequireDualStack"))
    assert sorted(item["addressType"] for item in cluster.store.list(SLICES, "shop")) == ["IPv4", "IPv6"]


def test_endpoints_made_by_hand_are_mirrored_and_go_with_their_object(cluster: Any) -> None:
    cluster.apply({**service("ext"), "spec": {"ports": [{"port": 80}]}})
    subsets = [{"addresses": [{"ip": "203.0.113.9"}], "ports": [{"port": 80}]}]
    metadata = {"name": "ext", "namespace": "shop"}
    cluster.apply({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets})
    (found,) = cluster.store.list(SLICES, "shop")
    assert found["endpoints"][0]["addresses"] == ["203.0.113.9"]
    cluster.delete("Endpoints", "ext")
    assert cluster.store.list(SLICES, "shop") == []


def test_a_namespace_goes_with_everything_in_it(cluster: Any) -> None:
    cluster.apply(workload(replicas=3))
    cluster.apply(service())
    deletion.delete(cluster.resources, kinds.BY_RESOURCE["namespaces"], "", "shop")
    cluster.settle()
    left = [resource for resource in cluster.store.resources() if cluster.store.list(resource, "shop")]
    assert left == []
    assert cluster.store.get("namespaces", "", "shop") is None
    assert len(cluster.runtime.pods) == 1


@pytest.mark.parametrize(
    ("propagation", "pods"),
    [("Background", 0), ("Foreground", 0), ("Orphan", 2), ("", 0)],
)
def test_what_becomes_of_a_deleted_owners_pods(cluster: Any, propagation: str, pods: int) -> None:
    cluster.apply(workload("ReplicaSet", replicas=2))
    how = deletion.Deletion(propagation=propagation)
    deletion.delete(cluster.resources, kinds.BY_RESOURCE["replicasets.apps"], "shop", "web", how)
    cluster.settle()
    assert cluster.store.get("replicasets.apps", "shop", "web") is None
    assert len(cluster.pods()) == pods
    assert not any(pod["metadata"].get("ownerReferences") for pod in cluster.pods())


def test_the_dataplane_is_programmed_once_a_settled_batch_and_not_for_nothing(cluster: Any) -> None:
    before = len(cluster.runtime.programs)
    cluster.apply(workload(replicas=3))
    cluster.settle()
    assert len(cluster.runtime.programs) == before + 1
    metadata = {"name": "c", "namespace": "shop"}
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b"}})
    assert len(cluster.runtime.programs) == before + 1
    kinds_seen = {item["kind"] for item in cluster.runtime.programs[-1]}
    assert {"Node", "Namespace", "Pod", "Service", "EndpointSlice"} <= kinds_seen
    assert not {"Event", "Secret", "ConfigMap"} & kinds_seen


def test_a_settled_cluster_is_at_rest(cluster: Any) -> None:
    cluster.apply(workload(replicas=3))
    cluster.apply(workload("StatefulSet", "db", replicas=2))
    cluster.apply(workload("DaemonSet", "agent"))
    cluster.apply(service())
    before = cluster.store.version
    cluster.settle()
    assert cluster.store.version == before


def test_environment_variables_reach_the_runtime(cluster: Any) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "hidden"}}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"X": "1"}}
    cluster.apply(secret)
    cluster.apply(config)
    env = [
        {"name": "PLAIN", "value": "v"},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]
    container = {"name": "main", "image": "x", "env": env, "envFrom": [{"configMapRef": {"name": "c"}}]}
    metadata = {"name": "p", "namespace": "shop", "labels": {"app": "web"}}
    pod = cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}})
    seen = cluster.runtime.pods[pod["metadata"]["uid"]].containers[0].env
    expected = {"PLAIN": "v", "NAME": "web", "IP": pod["status"]["podIP"], "KEY": "hidden", "X": "1"}
    assert seen == expected


def test_a_node_gives_each_address_once_and_has_an_end() -> None:
    addresses = PodAddresses()
    ranges = ("10.244.0.0/24", "fd00:10:244::/64")
    given = [addresses.take(str(n), "node-1", ranges) for n in range(300)]
    taken = [pair for pair in given if pair]
    assert len(taken) == len(set(taken)) == 253
    addresses.give_back("7")
    assert addresses.take("again", "node-1", ranges) == taken[7]


def test_too_many_events_forget_the_oldest(cluster: Any) -> None:
    pod = cluster.apply(workload(replicas=1))
    for number in range(600):
        cluster.controllers._context.event(pod, "Tick", f"number {number}")
    kept = cluster.store.list("events")
    assert len(kept) <= 500
    assert any(event["message"] == "number 599" for event in kept)
