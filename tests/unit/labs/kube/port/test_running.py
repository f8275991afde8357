"""What it means that something runs."""

from __future__ import annotations

from typing import Any

import pytest

from labs.kube import ready


def pod(*, waiting: str = "", phase: str = "Running", is_ready: bool = False, **more: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(is_ready)}, *more.pop("conditions", [])]
    state = {"waiting": {"reason": waiting, "message": "words"}} if waiting else {"running": {}}
    status = {"phase": phase, "conditions": conditions, "containerStatuses": [{"state": state}]}
    metadata = {"namespace": "shop", "name": "web", "labels": {"app": "web"}, **more.pop("metadata", {})}
    return {"kind": "Pod", "metadata": metadata, "status": status | more}


UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes"}


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (pod(is_ready=True), ""),
        (pod(phase="Succeeded"), ""),
        (pod(waiting="ErrImagePull", phase="Pending"), "ErrImagePull: words"),
        (pod(waiting="ContainerCreating", phase="Pending"), "pending, not ready yet"),
        (pod(phase="Pending", conditions=[UNSCHEDULABLE]), "Unschedulable: 0/2 nodes"),
        (pod(phase="Failed", reason="Evicted"), "failed: Evicted"),
        (pod(is_ready=True, metadata={"deletionTimestamp": "2026-11-24T00:00:00Z"}), "is being deleted"),
        ({"kind": "Pod", "metadata": {"name": "x"}}, "pending, not ready yet"),
    ],
)
def test_why_a_pod_is_not_ready(item: dict[str, Any], why: str) -> None:
    assert ready.pod(item) == why


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError"])
def test_some_reasons_seldom_go_away(reason: str) -> None:
    assert ready.is_hopeless(pod(waiting=reason))
    assert not ready.is_hopeless(pod(waiting="ContainerCreating"))


def workload(kind: str, generation: int = 1, **status: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {"name": "x", "generation": generation},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 1, **status},
    }


@pytest.mark.parametrize(
    ("item", "is_ready"),
    [
        (workload("Deployment", replicas=2, updatedReplicas=2, availableReplicas=2), True),
        (workload("Deployment", 2, replicas=2, updatedReplicas=2, availableReplicas=2), False),
        (workload("Deployment", replicas=2, updatedReplicas=1, availableReplicas=2), False),
        (workload("Deployment", replicas=3, updatedReplicas=2, availableReplicas=2), False),
        (workload("Deployment"), False),
        (workload("StatefulSet", readyReplicas=2, currentRevision="a", updateRevision="a"), True),
        (workload("StatefulSet", readyReplicas=2, currentRevision="a", updateRevision="b"), False),
        (workload("DaemonSet", desiredNumberScheduled=3, updatedNumberScheduled=3, numberAvailable=3), True),
        (workload("DaemonSet", desiredNumberScheduled=3, updatedNumberScheduled=2, numberAvailable=3), False),
        (workload("ReplicaSet", readyReplicas=1), False),
        (workload("Job"), True),
    ],
)
def test_when_a_workload_has_all_of_its_pods(item: dict[str, Any], is_ready: bool) -> None:
    assert (ready.workload(item) == "") is is_ready


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop", "name": "web"}, "spec": {"selector": {"app": "web"}, **spec}}


def slice_(*addresses: str, is_ready: bool = True, name: str = "web") -> dict[str, Any]:
    endpoints = [{"addresses": [address], "conditions": {"ready": is_ready}} for address in addresses]
    return {"metadata": {"labels": {"kubernetes.io/service-name": name}}, "endpoints": endpoints}


HERE = pod(is_ready=True, podIPs=[{"ip": "10.0.0.1"}, {"ip": "fd00::1"}])
UNREADY = pod(podIPs=[{"ip": "10.0.0.1"}])
ENDING = pod(is_ready=True, podIPs=[{"ip": "10.0.0.1"}], metadata={"deletionTimestamp": "2026-11-24T00:00:00Z"})


@pytest.mark.parametrize(
    ("wanted", "pods", "slices", "follows"),
    [
        (service(), [HERE], [slice_("10.0.0.1")], True),
        (service(), [HERE], [], False),
        (service(), [HERE], [slice_("10.0.0.1", name="other")], False),
        (service(), [HERE], [slice_("10.0.0.1", "10.0.0.2")], False),
        (service(), [HERE], [slice_("10.0.0.1"), slice_("10.0.0.2", is_ready=False)], True),
        (service(ipFamilies=["IPv4", "IPv6"]), [HERE], [slice_("10.0.0.1"), slice_("fd00::1")], True),
        (service(ipFamilies=["IPv6"]), [HERE], [slice_("10.0.0.1")], False),
        (service(), [UNREADY], [], True),
        (service(publishNotReadyAddresses=True), [UNREADY], [], False),
        (service(), [ENDING], [], True),
        (service(selector={"app": "db"}), [HERE], [], True),
        (service(selector=None), [HERE], [slice_("10.9.9.9")], True),
        (service(type="ExternalName"), [HERE], [], True),
    ],
)
def test_when_slices_follow_their_pods(
    wanted: dict[str, Any], pods: list[Any], slices: list[Any], follows: bool
) -> None:
    assert (ready.endpoints(wanted, pods, slices) == "") is follows
