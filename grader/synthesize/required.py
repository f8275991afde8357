"""Required traffic as a world of its own, in which exactly that passes: other worlds are compared with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from grader.policy.model import (
    EGRESS,
    INGRESS,
    AllOf,
    Block,
    Effect,
    Named,
    Not,
    Policy,
    Ports,
    Rule,
    Rulebook,
    Selected,
    Tier,
)
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from grader.kube.model import Network, Objects
    from grader.policy.model import Match
    from grader.synthesize.flows import Ends, Required

NAME = "required traffic"
_PODS = Selected()


def without_policies(objects: Objects) -> Objects:
    """Return the objects without what decides traffic."""
    return replace(
        objects,
        policies=(),
        cluster_policies=(),
        calico_policies=(),
        tiers=(),
        network_sets=(),
        host_endpoints=(),
        profiles=(),
        felix=(),
    )


def required_world(
    world: World, flows: Iterable[Required], left: Collection[str] = (), pod_ranges: Sequence[Network] = ()
) -> World:
    """Return a world with the same endpoints in which exactly these flows pass.

    Pods of the namespaces in `left` are isolated in no direction. Ranges of flows do not mean `pod_ranges`.
    """
    found = World(without_policies(world.objects))
    namespaces = {pod.namespace for pod in world.endpoints.pods.values() if pod.selectable} - set(left)
    listed = tuple(flows)
    found.book = Rulebook(
        (_tier(listed, namespaces, INGRESS, pod_ranges),),
        (_tier(listed, namespaces, EGRESS, pod_ranges),),
        settled=True,
    )
    return found


def _tier(flows: tuple[Required, ...], namespaces: Collection[str], direction: str, apart: Sequence[Network]) -> Tier:
    policies = [Policy(NAME, name, NAME, Selected(name)) for name in sorted(namespaces)]
    for each in flows:
        near, far = (each.destinations, each.sources) if direction == INGRESS else (each.sources, each.destinations)
        reached = each.from_range if direction == INGRESS else each.to_range
        inside = tuple(ref for ref in near if ref.partition("/")[0] in namespaces)
        if inside:
            ports = (Ports(each.protocol, each.port, each.port),)
            rule = Rule(1, Effect.ALLOW, (_peer(far, reached, apart),), ports)
            policies.append(Policy(NAME, "", NAME, Named(inside), (rule,)))
    return Tier(NAME, tuple(policies), Effect.DENY)


def _peer(refs: Ends, network: Network | None, apart: Sequence[Network]) -> Match:
    """Pods by name; a range means addresses that no pod has."""
    if network is None:
        return Named(refs)
    return AllOf((Block(network), Not(_PODS), *(Not(Block(each)) for each in apart)))
