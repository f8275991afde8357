"""Pods that were given a node before Calico ran there: kubelet could not make their networks, and waits.

It tries again after ten to fifteen seconds (k8s.io/kubernetes pkg/kubelet: backOffPeriod); a new pod it tries at once.
So those are ended as soon as Calico runs, and their owners make them anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError
from labs.kube import ready
from labs.kube.api import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grader.ports import Manifest
    from labs.kube.api import Api
    from labs.kube.mirror import Mirror

_AGENT = ("k8s-app", "calico-node")
_FAILED = "FailedCreatePodSandBox"


async def hasten(api: Api, mirror: Mirror, seconds: float) -> None:
    """Wait until Calico runs on every node, and end pods that were too early: each as soon as that is known of it.

    A kubelet tells of a failure a moment later, so this goes on until it is cancelled, or nothing happens for long.
    What cannot be hastened comes by itself: nothing that goes wrong here is an error.
    """
    found = {str(each): each for each in await api.resources()}
    nodes, pods, events = (found[kind] for kind in ("nodes", "pods", "events"))

    def runs() -> bool | None:
        return _is_everywhere(mirror.objects(nodes).values(), mirror.objects(pods).values()) or None

    def doomed() -> list[Manifest] | None:
        told = mirror.objects(events).values()
        failed = {event["involvedObject"].get("uid") for event in told if event.get("reason") == _FAILED} & early
        return [pod for pod in mirror.objects(pods).values() if _uid(pod) in failed and _waits(pod)] or None

    with contextlib.suppress(Refused, InfrastructureError):
        await mirror.follow((nodes, pods, events))
        if await mirror.until(runs, seconds) is None:
            return
        early = {_uid(pod) for pod in mirror.objects(pods).values()}  # not those that are made instead of them
        while ended := await mirror.until(doomed, seconds):
            early -= {_uid(pod) for pod in ended}
            await asyncio.gather(
                *(api.delete(pods, pod["metadata"]["namespace"], pod["metadata"]["name"], grace=0) for pod in ended)
            )


def _is_everywhere(nodes: Iterable[Manifest], pods: Iterable[Manifest]) -> bool:
    """Whether an agent of Calico's is ready on each node."""
    key, value = _AGENT
    there = {
        pod["spec"].get("nodeName")
        for pod in pods
        if (pod["metadata"].get("labels") or {}).get(key) == value and not ready.pod(pod)
    }
    names = {node["metadata"]["name"] for node in nodes}
    return bool(names) and names <= there


def _waits(pod: Manifest) -> bool:
    """Whether a pod has no network yet, and somebody makes it anew when it is gone."""
    status, owners = pod.get("status") or {}, pod["metadata"].get("ownerReferences") or ()
    is_early = status.get("phase") == "Pending" and not status.get("podIP")
    return is_early and any(owner.get("controller") for owner in owners)


def _uid(item: Manifest) -> str:
    return str(item["metadata"]["uid"])
