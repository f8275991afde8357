"""One change of one object, and what the ends of a packet are called in policies."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from grader.kube.model import IPBlock, LabelSelector, Peer, Requirement
from grader.synthesize.policies import NAMESPACE_LABEL
from grader.synthesize.selectors import exact_selector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.kube.model import Network, Objects
    from grader.policy.model import Endpoint
    from grader.reachability.packet import Packet
    from grader.reachability.verdict import Decision, PolicyRef
    from grader.reachability.world import World


@dataclass(frozen=True, slots=True)
class Step:
    """One change.

    Attributes:
        words: what to do, as one sentence.
        objects: everything after it.
        policy: what is changed; None for a new object.
        patch: operations of a JSON patch (RFC 6902) on the policy; empty for a new object.
        manifest: the new object; empty for a change.
    """

    words: str
    objects: Objects
    policy: PolicyRef | None = None
    patch: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    manifest: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Scene:
    """One direction of one packet in a world: what the changes are about."""

    world: World
    packet: Packet
    decision: Decision

    @property
    def subject(self) -> Endpoint:
        """The end at which the direction is judged."""
        return self.packet.ends(self.decision.direction)[0]

    @property
    def peer(self) -> Endpoint:
        """The other end."""
        return self.packet.ends(self.decision.direction)[1]

    def owner(self, endpoint: Endpoint) -> str:
        """Return the name of the workload that an endpoint belongs to, without its namespace."""
        for pod in self.world.objects.pods:
            if pod.ref == endpoint.ref:
                return pod.owner or pod.name
        return endpoint.ref.rpartition("/")[2]

    def selector(self, endpoint: Endpoint) -> LabelSelector:
        """Return the plainest selector for the workload of a pod; its labels where no selector means only it."""
        owners = {pod.ref: pod.owner or pod.name for pod in self.world.objects.pods}
        inside = [
            each
            for each in self.world.endpoints.pods.values()
            if each.selectable and each.namespace == endpoint.namespace
        ]
        mine = [each for each in inside if owners.get(each.ref) == owners.get(endpoint.ref)]
        others = [each for each in inside if owners.get(each.ref) != owners.get(endpoint.ref)]
        exact = exact_selector(mine or [endpoint], others)
        if exact is not None:
            return exact
        return LabelSelector(tuple(Requirement(key, "In", (endpoint.labels[key],)) for key in sorted(endpoint.labels)))

    def network(self) -> Network | None:
        """Return the peer's address as a range of one; None where it is not known."""
        address = self.peer.address(self.packet.family)
        return ip_network(address) if address is not None else None

    def kubernetes_peer(self, namespace: str) -> Peer | None:
        """Return the peer as an entry of `from` or `to` in a policy of a namespace; None where nothing can mean it."""
        if self.peer.selectable:
            pods = self.selector(self.peer)
            if self.peer.namespace == namespace:
                return Peer(pods=pods)
            return Peer(pods, LabelSelector((Requirement(NAMESPACE_LABEL, "In", (self.peer.namespace,)),)))
        network = self.network()
        return Peer(block=IPBlock(network)) if network is not None else None
