"""Packets as they are where a direction is judged: at the sender's node, at the receiver's, before translation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.reachability.verdict import Action, Flow

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.reachability.world import World


def test_a_packet_to_the_port_of_another_node_is_none_to_oneself_yet(shop: Callable[..., World]) -> None:
    world = shop("lobby|{podSelector: {}, policyTypes: [Egress]}")
    flow = Flow("lobby/guest", "node:n1", 30090)
    (packet,) = world.packets(flow)
    assert packet.hairpin
    assert packet.destination.ref == "lobby/guest"
    # At its own node that shows on leaving; at another only when it comes back.
    assert world.verdict(flow).egress.action is Action.DENY
    assert world.verdict(Flow("lobby/guest", "node:n2", 30090)).egress.action is Action.OPEN


def test_what_is_judged_before_translation_is_ingress(cluster: Callable[..., World]) -> None:
    world = cluster(
        "hep n1 [host=yes] {node: n1, expectedIPs: [172.18.0.2], interfaceName: eth0}",
        "gnp d {selector: has(host), preDNAT: true, applyOnForward: true, ingress: [{action: Deny}]}",
    )
    decision = world.verdict(Flow("ip:192.0.2.1", "shop/web", 8080)).ingress
    assert decision.policy is not None
    assert (decision.direction, decision.action, decision.policy.name) == ("ingress", Action.DENY, "d")
