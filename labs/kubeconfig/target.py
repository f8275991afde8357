"""Somebody's cluster as it is found: who it is, what it can do, and how commands get at its pods' networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from content.errors import NetdojoError
from grader.errors import InfrastructureError, NotCapableError
from grader.ports import Capabilities
from labs.kube import ready
from labs.kube.api import Refused
from labs.kube.resources import resource_of
from labs.kubeconfig import agents, rights
from labs.kubeconfig.settings import AGENTS, CONTAINERS, PODS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grader.ports import Manifest
    from labs.base import Request
    from labs.kind.engine import Engine
    from labs.kube.api import Api, Resource
    from labs.kubeconfig.settings import Settings

NAME = "kubeconfig"
_CALICO = frozenset({"projectcalico.org", "crd.projectcalico.org"})


@dataclass(frozen=True, slots=True)
class Target:
    """A cluster that answered.

    Attributes:
        identity: the uid of its namespace kube-system; its server where there is none.
        nodes: those that are ready.
        capabilities: what it can do.
    """

    identity: str
    nodes: tuple[Manifest, ...]
    capabilities: Capabilities


async def look(api: Api, server: str) -> Target:
    """What is there.

    Raises:
        InfrastructureError: it does not answer, shows no node that is ready, or does not say which one it is.
    """
    try:
        nodes = [item for item in (await api.list(await resource(api, "Node"))).items if ready.node(item)]
    except Refused as refused:
        raise NotCapableError(
            f"the user may not list the cluster's nodes: {refused.message}",
            remedy="ask the cluster's administrator for the right to list nodes, or use --on sandbox",
        ) from refused
    if not nodes:
        raise InfrastructureError("no node of the cluster is ready", remedy="kubectl get nodes shows them")
    groups = {each.group for each in await api.resources()}
    families = _families(nodes)
    has = {"multi-node"} if len(nodes) > 1 else set()
    has |= {"calico"} if groups & _CALICO else set()
    has |= {"ipv6"} if 6 in families else set()
    able = Capabilities(NAME, "cluster", simulated=False, families=families, has=frozenset(has))
    return Target(await identity(api, server), tuple(nodes), able)


async def identity(api: Api, server: str) -> str:
    """By what a cluster is told from another that has its address now.

    Raises:
        InfrastructureError: it cannot be read; that does not make it another.
    """
    try:
        found = await api.get(await resource(api, "Namespace"), "", "kube-system")
    except Refused as refused:
        raise InfrastructureError(
            f"the cluster cannot be told from others: {refused.message}",
            remedy="ask its administrator for the right to get namespaces: clusters are known by their kube-system",
        ) from refused
    return str(found["metadata"]["uid"]) if found is not None else server


def fits(target: Target, request: Request, tell: Callable[[str], None]) -> None:
    """Return when the cluster is what the lab wants, as far as that can be known before.

    Raises:
        NotCapableError: it is not.
    """
    if request.hosts:
        raise NotCapableError(
            f"the lab has outside hosts ({', '.join(request.hosts)}), which netdojo cannot put beside this cluster",
            remedy="use --on sandbox or --on kind",
        )
    lacking = [
        each for each in request.topology.families if int(each.removeprefix("ipv")) not in target.capabilities.families
    ]
    if lacking:
        raise NotCapableError(
            f"the lab has pods with {' and '.join(lacking)}, and this cluster's nodes have none",
            remedy="use --on sandbox, or a cluster with both families",
        )
    if request.topology.nodes > len(target.nodes):
        tell(f"the lab is made for {request.topology.nodes} nodes; this cluster has {len(target.nodes)} that are ready")


async def way_of(api: Api, target: Target, chosen: Settings, engine: Callable[[], Engine]) -> str:
    """How commands get at the pods' networks: the first way that is open.

    Raises:
        NotCapableError: none is.
    """
    for way in chosen.ways:
        if way == CONTAINERS and not await containers(target.nodes, engine):
            continue
        if not await rights.missing(api, rights.OF_WAY[way]):
            return way
    raise NotCapableError(
        f"no way to the pods' networks is open here (tried: {', '.join(chosen.ways)})",
        remedy=f"kubeconfig.agents may name {CONTAINERS}, {AGENTS} and {PODS}; "
        f"{PODS} needs the right to patch pods/ephemeralcontainers",
    )


async def containers(nodes: Sequence[Manifest], engine: Callable[[], Engine]) -> str:
    """The name of the kind cluster whose containers the nodes are; empty when they are none that answer here."""
    try:
        return await agents.containers_of(engine(), nodes)
    except NetdojoError:  # no engine here, or none that answers: then the nodes are no containers of it
        return ""


def _families(nodes: Sequence[Manifest]) -> tuple[int, ...]:
    """The families that pods have: by the nodes' ranges, else by their addresses (not every network uses ranges)."""
    found: set[int] = set()
    for node in nodes:
        spec, status = node.get("spec") or {}, node.get("status") or {}
        given = spec.get("podCIDRs") or [
            each.get("address") for each in status.get("addresses") or () if each.get("type") == "InternalIP"
        ]
        found |= {6 if ":" in str(each) else 4 for each in given}
    return tuple(sorted(found)) or (4,)


async def resource(api: Api, kind: str) -> Resource:
    """A kind of the core group.

    Raises:
        InfrastructureError: it is not served.
    """
    found = resource_of({"apiVersion": "v1", "kind": kind}, await api.resources())
    if found is None:
        raise InfrastructureError(f"the cluster does not serve {kind} (v1)", remedy="is it a Kubernetes cluster?")
    return found
