"""Changes of NetworkPolicies: one more peer, port or rule, or one less; a new policy where there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from grader.edits.step import Scene, Step
from grader.kube.dump import dump_peer, dump_policy, dump_port, dump_rule
from grader.kube.fields import PROTOCOLS
from grader.kube.model import IPBlock, LabelSelector, NetworkPolicy, Peer, PolicyPort, PolicyRule
from grader.policy.kubernetes import KIND, compile_policies
from grader.policy.model import EGRESS
from grader.reachability.verdict import PolicyRef
from grader.synthesize.policies import NAMESPACE_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.kube.model import Objects
    from grader.policy.model import Rule

Patch = tuple[dict[str, Any], ...]
"""Operations of a JSON patch."""

MOST_POLICIES = 4
"""Policies that are looked at where many isolate the same endpoint, those that select the fewest endpoints first."""


def opening(scene: Scene) -> Iterator[Step]:
    """Yield changes that could let the packet pass this direction."""
    side = _side(scene)
    ports = _ports(scene)
    for policy in _isolating(scene):
        peer = scene.kubernetes_peer(policy.namespace)
        if peer is None:
            return
        for number, (rule, compiled) in enumerate(_rules(policy, scene)):
            meets = _meets(scene, compiled)
            if meets == (False, True):
                words = f"add the peer {_words(peer)} to {_name(policy)} {scene.decision.direction} rule {number + 1}"
                changed = replace(rule, peers=(*rule.peers, peer))
                yield _changed(
                    scene, policy, number, changed, words, _add(scene, f"{number}/{side}/-", dump_peer(peer))
                )
            elif meets == (True, False) and ports:
                words = f"add the port {_port_words(ports[0])} to {_name(policy)} {scene.decision.direction}"
                changed = replace(rule, ports=(*rule.ports, *ports))
                patch = _add(scene, f"{number}/ports/-", dump_port(ports[0]))
                yield _changed(scene, policy, number, changed, f"{words} rule {number + 1}", patch)
        rule = PolicyRule((peer,), ports)
        rules = [each for each, _ in _rules(policy, scene)]
        if len(_selected(scene, policy)) == 1 or rules:
            words = f"add an {scene.decision.direction} rule to {_name(policy)}: {side} {_words(peer)}{_at(ports)}"
            patch = _add(scene, "-", dump_rule(rule, side)) if rules else _add(scene, "", [dump_rule(rule, side)])
            yield _step(scene, policy, (*rules, rule), words, patch)
    if scene.subject.selectable and (peer := scene.kubernetes_peer(scene.subject.namespace)) is not None:
        name = f"allow-{scene.owner(scene.peer) if scene.peer.selectable else 'address'}"
        yield _new(scene, f"{scene.owner(scene.subject)}-{name}", (PolicyRule((peer,), ports),))


def closing(scene: Scene) -> Iterator[Step]:
    """Yield changes that could stop the packet in this direction."""
    if not scene.subject.selectable:
        return
    policy = _deciding(scene)
    if policy is None:
        if not scene.decision.isolating:
            yield from _isolations(scene)
        return
    number = scene.decision.rule - 1
    rule, compiled = _rules(policy, scene)[number]
    yield from _narrower(scene, policy, number, rule, compiled)
    rules = [each for each, _ in _rules(policy, scene)]
    words = f"remove {scene.decision.direction} rule {number + 1} of {_name(policy)}"
    patch = ({"op": "remove", "path": f"/spec/{scene.decision.direction}/{number}"},)
    yield _step(scene, policy, tuple(rules[:number] + rules[number + 1 :]), words, patch)


def _narrower(scene: Scene, policy: NetworkPolicy, number: int, rule: PolicyRule, compiled: Rule) -> Iterator[Step]:
    side, where = _side(scene), f"{scene.decision.direction} rule {number + 1} of {_name(policy)}"
    base = f"/spec/{scene.decision.direction}/{number}"
    patch: Patch
    matching = [i for i, match in enumerate(compiled.peers) if match.matches(scene.peer, scene.packet.family)]
    if rule.peers and len(matching) < len(rule.peers):
        gone = ", ".join(_words(rule.peers[i]) for i in matching)
        kept = replace(rule, peers=tuple(peer for i, peer in enumerate(rule.peers) if i not in matching))
        patch = tuple({"op": "remove", "path": f"{base}/{side}/{i}"} for i in reversed(matching))
        yield _changed(scene, policy, number, kept, f"remove the peer {gone} from {where}", patch)
    network = scene.network()
    blocks = {i: block for i in matching if (block := rule.peers[i].block) is not None and block.cidr != network}
    if network is not None and blocks and len(blocks) == len(matching):
        wider = {i: Peer(block=IPBlock(block.cidr, (*block.excepted, network))) for i, block in blocks.items()}
        peers = tuple(wider.get(i, peer) for i, peer in enumerate(rule.peers))
        patch = tuple({"op": "replace", "path": f"{base}/{side}/{i}", "value": dump_peer(p)} for i, p in wider.items())
        ranges = ", ".join(dict.fromkeys(str(block.cidr) for block in blocks.values()))
        words = f"except {network} from {ranges} in {where}"
        yield _changed(scene, policy, number, replace(rule, peers=peers), words, patch)
    if not rule.peers:
        for peer in _families(scene, policy.namespace):
            words = f"give {where} a `{side}`: {_words(peer)}"
            patch = ({"op": "add", "path": f"{base}/{side}", "value": [dump_peer(peer)]},)
            yield _changed(scene, policy, number, replace(rule, peers=(peer,)), words, patch)
    single = [
        i
        for i, port in enumerate(rule.ports)
        if port.protocol == scene.packet.protocol and port.port is not None and port.end is None
    ]
    hit = [i for i in single if compiled.ports[i].matches(scene.packet.destination, scene.packet.port, port_of(scene))]
    if hit and len(hit) < len(rule.ports):
        kept = replace(rule, ports=tuple(port for i, port in enumerate(rule.ports) if i not in hit))
        patch = tuple({"op": "remove", "path": f"{base}/ports/{i}"} for i in reversed(hit))
        gone = ", ".join(_port_words(rule.ports[i]) for i in hit)
        yield _changed(scene, policy, number, kept, f"remove the port {gone} from {where}", patch)


def _isolations(scene: Scene) -> Iterator[Step]:
    """New policies where none isolates the subject: only pods of the own namespace, only pods, nobody."""
    owner = scene.owner(scene.subject)
    for peer in _families(scene, scene.subject.namespace):
        yield _new(scene, f"protect-{owner}", (PolicyRule((peer,)),))
    yield _new(scene, f"protect-{owner}", ())


def _families(scene: Scene, namespace: str) -> Iterator[Peer]:
    """Wide peers that leave the other end out: pods of this namespace, pods of any."""
    if not scene.peer.selectable or scene.peer.namespace != namespace:
        yield Peer(pods=LabelSelector())
    if not scene.peer.selectable:
        yield Peer(namespaces=LabelSelector())


def _side(scene: Scene) -> str:
    return "to" if scene.decision.direction == EGRESS else "from"


def port_of(scene: Scene) -> str:
    """Return the protocol of the packet."""
    return scene.packet.protocol


def _ports(scene: Scene) -> tuple[PolicyPort, ...]:
    """The packet's port; none for a protocol that only rules without ports let pass."""
    if scene.packet.protocol not in PROTOCOLS:
        return ()
    return (PolicyPort(scene.packet.protocol, scene.packet.port),)


def _isolating(scene: Scene) -> list[NetworkPolicy]:
    refs = {(ref.namespace, ref.name) for ref in scene.decision.isolating if _ours(ref)}
    found = [policy for policy in scene.world.objects.policies if (policy.namespace, policy.name) in refs]
    return sorted(found, key=lambda policy: len(_selected(scene, policy)))[:MOST_POLICIES]


def _ours(ref: PolicyRef) -> bool:
    """Tell Kubernetes' NetworkPolicy from Calico's."""
    return ref.kind == KIND and not ref.group


def _deciding(scene: Scene) -> NetworkPolicy | None:
    """The NetworkPolicy whose rule decided; None for another kind of policy, or none."""
    ref = scene.decision.policy
    if ref is None or not _ours(ref) or not scene.decision.rule:
        return None
    for policy in scene.world.objects.policies:
        place = (policy.origin.file, policy.origin.line)
        if (policy.namespace, policy.name) == (ref.namespace, ref.name) and place == (ref.file, ref.line):
            return policy
    return None


def _selected(scene: Scene, policy: NetworkPolicy) -> list[str]:
    return [
        end.ref
        for end in scene.world.endpoints.pods.values()
        if end.selectable and end.namespace == policy.namespace and policy.selector.matches(end.labels)
    ]


def _rules(policy: NetworkPolicy, scene: Scene) -> list[tuple[PolicyRule, Rule]]:
    """The rules of the direction, each with its normal form."""
    egress = scene.decision.direction == EGRESS
    (tier,) = compile_policies([replace(policy, isolates_ingress=True, isolates_egress=True)]).tiers(
        scene.decision.direction
    )
    return list(zip(policy.egress if egress else policy.ingress, tier.policies[0].rules, strict=True))


def _meets(scene: Scene, rule: Rule) -> tuple[bool, bool]:
    """Whether a rule means the peer, and whether it means the port."""
    packet = scene.packet
    return (
        rule.matches_peer(scene.peer, packet.family),
        rule.matches_port(packet.destination, packet.port, packet.protocol),
    )


def _add(scene: Scene, path: str, value: Any) -> Patch:  # noqa: ANN401 - JSON
    place = f"/spec/{scene.decision.direction}" + (f"/{path}" if path else "")
    return ({"op": "add", "path": place, "value": value},)


def _changed(scene: Scene, policy: NetworkPolicy, number: int, rule: PolicyRule, words: str, patch: Patch) -> Step:
    rules = [each for each, _ in _rules(policy, scene)]
    rules[number] = rule
    return _step(scene, policy, tuple(rules), words, patch)


def _step(scene: Scene, policy: NetworkPolicy, rules: tuple[PolicyRule, ...], words: str, patch: Patch) -> Step:
    egress = scene.decision.direction == EGRESS
    changed = replace(policy, egress=rules) if egress else replace(policy, ingress=rules)
    objects = scene.world.objects
    policies = tuple(changed if each is policy else each for each in objects.policies)
    ref = PolicyRef(KIND, policy.namespace, policy.name, policy.origin.file, policy.origin.line)
    return Step(words, replace(objects, policies=policies), ref, patch)


def _new(scene: Scene, name: str, rules: tuple[PolicyRule, ...]) -> Step:
    egress = scene.decision.direction == EGRESS
    objects: Objects = scene.world.objects
    namespace = scene.subject.namespace
    taken = {policy.name for policy in objects.policies if policy.namespace == namespace}
    free = next(each for each in (name, *(f"{name}-{i}" for i in range(2, len(taken) + 3))) if each not in taken)
    selector = scene.selector(scene.subject)
    policy = NetworkPolicy(namespace, free, selector, isolates_ingress=not egress, isolates_egress=egress)
    policy = replace(policy, egress=rules) if egress else replace(policy, ingress=rules)
    said = "; ".join(f"{_side(scene)} {_words(rule.peers[0])}{_at(rule.ports)}" for rule in rules) or "nothing"
    pods = f"pods {selector}" if selector.requirements else "every pod"
    words = f"add NetworkPolicy {namespace}/{free}: {scene.decision.direction} of {pods} is allowed {said}"
    policies = tuple(sorted((*objects.policies, policy), key=lambda each: (each.namespace, each.name)))
    return Step(words, replace(objects, policies=policies), manifest=dump_policy(policy))


def _name(policy: NetworkPolicy) -> str:
    return f"NetworkPolicy {policy.namespace}/{policy.name}"


def _words(peer: Peer) -> str:
    """A peer as people say it: `pods app=web of namespaces team=blue`, `192.0.2.1/32`."""
    if peer.block is not None:
        return str(peer.block.cidr)
    pods = f"pods {peer.pods}" if peer.pods is not None and peer.pods.requirements else "all pods"
    if peer.namespaces is None:
        return f"{pods} of its namespace"
    names = [each.values for each in peer.namespaces.requirements if each.key == NAMESPACE_LABEL]
    if len(names) == len(peer.namespaces.requirements) == 1 and len(names[0]) == 1:
        return f"{pods} of namespace {names[0][0]}"
    return f"{pods} of namespaces {peer.namespaces}" if peer.namespaces.requirements else f"{pods} of every namespace"


def _at(ports: tuple[PolicyPort, ...]) -> str:
    return f" at {', '.join(map(_port_words, ports))}" if ports else ""


def _port_words(port: PolicyPort) -> str:
    return f"{port.port if port.port is not None else 'every port'}/{port.protocol}"
