"""What policies forget about traffic: names must be looked up, addresses of Services are translated, pods move."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from grader.kube.model import ContainerPort, Namespace, Pod
from grader.lint.finding import Finding
from grader.lint.scene import listed
from grader.policy.model import AllOf, AnyOf, Block, Effect
from grader.reachability.bits import members
from grader.reachability.verdict import Flow
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.lint.scene import Scene
    from grader.policy.model import Match
    from grader.reachability.verdict import PolicyRef

DNS_LABEL = ("k8s-app", "kube-dns")
"""What the cluster's DNS pods have had since kube-dns; CoreDNS keeps it."""
DNS_NAMESPACE = "kube-system"


def traffic(scene: Scene) -> Iterator[Finding]:
    """Yield findings on names and addresses."""
    yield from _names(scene)
    for direction, where, policy in scene.policies:
        for rule in policy.rules:
            for block in (found for match in rule.peers for found in _blocks(match)):
                yield from _addresses(scene, block, where, direction, rule.number)


def _names(scene: Scene) -> Iterator[Finding]:
    """Pods that may reach something, but not the cluster's DNS."""
    world, server = _with_dns(scene.world)
    talking = {
        where
        for direction, where, policy in scene.policies
        if direction == "egress" and any(rule.effect is Effect.ALLOW for rule in policy.rules)
    }
    silent: dict[PolicyRef, list[str]] = {}
    family = world.family
    for one in world.reach(family).classes:
        if not one.sample.selectable or one.sample.ref == server:
            continue
        decision = world.verdict(Flow(one.sample.ref, server, 53, "UDP", family)).egress
        policies = [policy for policy in decision.isolating if policy in talking]
        if not decision.allowed and policies:
            silent.setdefault(policies[0], []).extend(one.members)
    owners = {pod.ref: f"{pod.namespace}/{pod.owner or pod.name}" for pod in world.objects.pods}
    for where, pods in silent.items():
        names = listed(sorted({owners.get(ref, ref) for ref in pods}))
        fix = "allow egress to the DNS pods (namespace kube-system, k8s-app=kube-dns) at port 53, UDP and TCP"
        yield Finding("ND007", where, f"{names} cannot look up names", fix, "egress")


def _with_dns(world: World) -> tuple[World, str]:
    """The world, with the DNS pods of every cluster where it has none, and one of them."""
    objects = world.objects
    for pod in objects.pods:
        if pod.labels.get(DNS_LABEL[0]) == DNS_LABEL[1] and not pod.finished and not pod.host_network:
            return world, pod.ref
    labels = {"kubernetes.io/metadata.name": DNS_NAMESPACE}
    ports = (ContainerPort(53, "UDP", "dns"), ContainerPort(53, "TCP", "dns-tcp"))
    pod = Pod(DNS_NAMESPACE, "coredns", dict([DNS_LABEL]), ports, owner="coredns")
    namespaces = objects.namespaces
    if all(each.name != DNS_NAMESPACE for each in namespaces):
        namespaces = (*namespaces, Namespace(DNS_NAMESPACE, labels))
    pods = sorted((*objects.pods, pod), key=lambda each: (each.namespace, each.name))
    return World(replace(objects, pods=tuple(pods), namespaces=namespaces)), pod.ref


def _blocks(match: Match) -> Iterator[Block]:
    match match:
        case Block():
            yield match
        case AnyOf() | AllOf():
            for operand in match.operands:
                yield from _blocks(operand)


def _addresses(scene: Scene, block: Block, where: PolicyRef, direction: str, number: int) -> Iterator[Finding]:
    version = block.cidr.version
    inside = scene.holding(block)
    services = [(s, address) for s, address in scene.addresses if address.version == version and address in block.cidr]
    # Behind a wide range other things may be meant; one that holds nothing but Services means them.
    if services and not inside and block.cidr.prefixlen >= block.cidr.max_prefixlen // 4:
        names = listed(f"{each.namespace}/{each.name} ({address})" for each, address in services)
        message = f"{block} is the address of Service {names}, which no packet has when it is judged"
        fix = "name the pods behind the Service by a selector, and their port"
        yield Finding("ND008", where, message, fix, direction, number)
    if block.cidr.prefixlen == 0 or not inside:
        return
    refs = {scene.endpoints[i].ref for i in members(inside)}
    touched = {owner for ref in refs if (owner := scene.owners.get(ref)) is not None}
    for namespace, name in sorted(touched & scene.workloads.keys()):
        pods = [pod for pod in scene.workloads[namespace, name] if any(a.version == version for a in pod.addresses)]
        covered = [pod for pod in pods if pod.ref in refs]
        if covered and len(covered) < len(pods):
            message = f"{block} covers {len(covered)} of {len(pods)} pods of {namespace}/{name}"
            fix = "name pods by a selector; keep ranges for addresses outside the cluster"
            yield Finding("ND009", where, message, fix, direction, number)
