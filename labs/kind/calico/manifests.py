"""Calico's plain manifests, made to fit a plan: pools, families and dataplane, where the manifest leaves them open."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from labs.kind import pins
from labs.kind.config import EBPF, NFTABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from grader.ports import Manifest
    from labs.kind.config import Plan

_NFTABLES_SINCE = (3, 29)
NODE_AGENT = "calico-node"
_START_TRIES = 300
_OF_READINESS = ("initialDelaySeconds", "successThreshold")
"""What a probe of the start must not have, or need not."""


def adjust(objects: Iterable[Manifest], plan: Plan) -> tuple[Manifest, ...]:
    """The objects as this plan wants them. What is no part of Calico's own installation stays as it is."""
    return tuple(_adjusted(item, plan) for item in objects)


def _adjusted(item: Manifest, plan: Plan) -> Manifest:
    item = copy.deepcopy(item)
    if item.get("kind") == "ConfigMap" and "cni_network_config" in item.get("data", {}):
        item["data"]["cni_network_config"] = _cni(item["data"]["cni_network_config"], plan)
    if item.get("kind") in {"DaemonSet", "Deployment"}:
        for container in _pod_spec(item).get("containers") or ():
            if item["kind"] == "DaemonSet" and container["name"] == NODE_AGENT:
                container["env"] = _environment(container.get("env") or [], plan)
            if "readinessProbe" in container:
                _ask_soon(container)
    return item


def _ask_soon(container: dict[str, Any]) -> None:
    """Have the kubelet ask often whether a container is ready: Calico's own periods are up to a minute.

    A request may be asked for ever. A program of Calico's costs a tenth of a core if it is run every other second, so
    that is asked often until its first yes only; what the kubelet asks then is Calico's own question, at once as a rule
    (k8s.io/kubernetes pkg/kubelet/prober: UpdatePodStatus).
    """
    probe = container["readinessProbe"]
    if "exec" in probe:
        kept = {key: value for key, value in probe.items() if key not in _OF_READINESS}
        container.setdefault("startupProbe", kept | {"periodSeconds": 2, "failureThreshold": _START_TRIES})
    else:
        kept = {key: value for key, value in probe.items() if key != "initialDelaySeconds"}
        container["readinessProbe"] = kept | {"periodSeconds": 1}


def _environment(given: list[dict[str, Any]], plan: Plan) -> list[dict[str, Any]]:
    wanted = dict(_variables(plan))
    kept = [variable for variable in given if variable["name"] not in wanted]
    return kept + [{"name": name, "value": value} for name, value in wanted.items()]


def _variables(plan: Plan) -> Iterator[tuple[str, str]]:
    """Variables of calico/node: https://docs.tigera.io/calico/latest/reference/configure-calico-node."""
    for family, pods in zip(plan.families, plan.pods, strict=True):
        yield f"CALICO_{family.upper()}POOL_CIDR", pods
    if "ipv6" in plan.families:
        yield "IP6", "autodetect"
        yield "FELIX_IPV6SUPPORT", "true"
        yield "CALICO_IPV6POOL_NAT_OUTGOING", "true"
        yield "CALICO_IPV6POOL_VXLAN", "Always"
    if "ipv4" not in plan.families:
        yield "IP", "none"
        yield "CALICO_ROUTER_ID", "hash"
    if plan.dataplane == NFTABLES:
        yield "FELIX_NFTABLESMODE", "Enabled"


def _cni(text: str, plan: Plan) -> str:
    """The CNI configuration with the families that pods get; placeholders of the manifest survive as they are."""
    marked = text.replace("__CNI_MTU__", '"__CNI_MTU__"')
    config = json.loads(marked)
    for plugin in config.get("plugins", ()):
        if plugin.get("type") == "calico":
            plugin["ipam"] = plugin.get("ipam", {"type": "calico-ipam"}) | {
                "assign_ipv4": str("ipv4" in plan.families).lower(),
                "assign_ipv6": str("ipv6" in plan.families).lower(),
            }
    return json.dumps(config, indent=2).replace('"__CNI_MTU__"', "__CNI_MTU__")


def lacking(objects: Iterable[Manifest], plan: Plan) -> str:
    """What these files cannot do of what a plan asks for; empty when they can. It is said before anything is made."""
    if plan.dataplane == EBPF:
        return "Calico from plain manifests does not begin with eBPF: labs switch it on"
    release = next((pins.version_of(name) for name in images(objects) if "calico/node" in name), ())
    if plan.dataplane == NFTABLES and release and release < _NFTABLES_SINCE:
        return f"Calico {'.'.join(map(str, release))} has no nftables dataplane, which came with 3.29"
    return ""


def images(objects: Iterable[Manifest]) -> tuple[str, ...]:
    """The images that these objects run, each once, in their order."""
    found = (
        str(container["image"])
        for item in objects
        for spec in (_pod_spec(item),)
        for group in ("initContainers", "containers")
        for container in spec.get(group) or ()
    )
    return tuple(dict.fromkeys(found))


def _pod_spec(item: Manifest) -> Mapping[str, Any]:
    spec = item.get("spec")
    if not isinstance(spec, dict):
        return {}
    if item.get("kind") == "Pod":
        return spec
    template = spec.get("template")
    found = template.get("spec") if isinstance(template, dict) else None
    return found if isinstance(found, dict) and "containers" in found else {}
