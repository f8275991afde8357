"""Changes of Calico's policies and of cluster policies: a rule before the one that decides, or without it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from grader.calico.model import GROUP, CalicoPolicy
from grader.edits.step import Scene, Step
from grader.kube.fields import PROTOCOLS
from grader.kube.parse import read_objects
from grader.policy.model import EGRESS
from grader.reachability.verdict import PolicyRef

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.kube.cluster_model import ClusterPolicy
    from grader.kube.model import LabelSelector

    Other = CalicoPolicy | ClusterPolicy

MOST_POLICIES = 4
NAMESPACE_NAME = "projectcalico.org/name"


def opening(scene: Scene) -> Iterator[Step]:
    """Yield changes that could let the packet pass this direction."""
    decision = scene.decision
    if decision.rule:
        for policy in _called(scene, decision.policy):
            yield from _before(scene, policy, decision.rule - 1, allow=True)
            yield _without(scene, policy, decision.rule - 1)
        return
    for ref in decision.isolating[:MOST_POLICIES]:
        for policy in _called(scene, ref):
            yield from _before(scene, policy, len(_rules(scene, policy)), allow=True)


def closing(scene: Scene) -> Iterator[Step]:
    """Yield changes that could stop the packet in this direction."""
    decision = scene.decision
    if decision.rule:
        for policy in _called(scene, decision.policy):
            yield from _before(scene, policy, decision.rule - 1, allow=False)
            yield _without(scene, policy, decision.rule - 1)


def _called(scene: Scene, ref: PolicyRef | None) -> Iterator[Other]:
    """The policy of that name, if it is one of these APIs'."""
    if ref is None:
        return
    objects = scene.world.objects
    for calico in objects.calico_policies:
        if not calico.staged and _ref(calico) == ref:
            yield calico
            return
    for cluster in objects.cluster_policies:
        if _ref(cluster) == ref:
            yield cluster


def _ref(policy: Other) -> PolicyRef:
    group = GROUP if isinstance(policy, CalicoPolicy) else ""
    namespace, origin = getattr(policy, "namespace", ""), policy.origin
    return PolicyRef(policy.kind, namespace, policy.name, origin.file, origin.line, group)


def _rules(scene: Scene, policy: Other) -> tuple[Any, ...]:
    return policy.egress if scene.decision.direction == EGRESS else policy.ingress


def _before(scene: Scene, policy: Other, place: int, *, allow: bool) -> Iterator[Step]:
    """A rule for exactly this workload and port at a place; none where the peer has no name there."""
    calico = isinstance(policy, CalicoPolicy)
    rule = _calico_rule(scene, policy, allow=allow) if calico else _cluster_rule(scene, allow=allow)
    if rule is None:
        return
    direction = scene.decision.direction
    spec = {direction: [rule]}
    rules = _rules(scene, policy)
    read = _read_calico(spec) if calico else _read_cluster(spec)
    where = f"before rule {place + 1}" if place < len(rules) else "at the end"
    word = rule["action"].lower()
    words = f"add to {_ref(policy)}, {direction}, {where}: {word} {_said(scene)}"
    path = f"/spec/{direction}/{place}" if rules else f"/spec/{direction}"
    patch = ({"op": "add", "path": path, "value": rule if rules else [rule]},)
    added = read.egress if direction == EGRESS else read.ingress
    yield _step(scene, policy, (*rules[:place], *added, *rules[place:]), words, patch)


def _without(scene: Scene, policy: Other, place: int) -> Step:
    rules = _rules(scene, policy)
    direction = scene.decision.direction
    words = f"remove {direction} rule {place + 1} of {_ref(policy)}"
    patch = ({"op": "remove", "path": f"/spec/{direction}/{place}"},)
    return _step(scene, policy, rules[:place] + rules[place + 1 :], words, patch)


def _step(scene: Scene, policy: Other, rules: tuple[Any, ...], words: str, patch: tuple[dict[str, Any], ...]) -> Step:
    side = "egress" if scene.decision.direction == EGRESS else "ingress"
    changes: dict[str, Any] = {side: rules}
    changed: Any = replace(policy, **changes)
    objects = scene.world.objects
    after = replace(
        objects,
        calico_policies=tuple(changed if each is policy else each for each in objects.calico_policies),
        cluster_policies=tuple(changed if each is policy else each for each in objects.cluster_policies),
    )
    return Step(words, after, _ref(policy), patch)


def _calico_rule(scene: Scene, policy: Other, *, allow: bool) -> dict[str, Any] | None:
    peer: dict[str, Any] = {}
    if scene.peer.selectable:
        peer["selector"] = _text(scene.selector(scene.peer)) or "all()"
        if getattr(policy, "namespace", "") != scene.peer.namespace:
            peer["namespaceSelector"] = f"{NAMESPACE_NAME} == '{scene.peer.namespace}'"
    elif (network := scene.network()) is not None:
        peer["nets"] = [str(network)]
    else:
        return None
    rule: dict[str, Any] = {"action": "Allow" if allow else "Deny", "protocol": scene.packet.protocol}
    ports = {"ports": [scene.packet.port]} if scene.packet.protocol in PROTOCOLS else {}
    if scene.decision.direction == EGRESS:
        rule["destination"] = {**peer, **ports}
    else:
        rule["source"] = peer
        if ports:
            rule["destination"] = ports
    return rule


def _cluster_rule(scene: Scene, *, allow: bool) -> dict[str, Any] | None:
    if scene.packet.protocol not in PROTOCOLS:
        return None
    peer: dict[str, Any] = {}
    if scene.peer.selectable:
        from grader.kube.dump import dump_selector

        namespace = {"matchLabels": {"kubernetes.io/metadata.name": scene.peer.namespace}}
        peer["pods"] = {"namespaceSelector": namespace, "podSelector": dump_selector(scene.selector(scene.peer))}
    elif scene.decision.direction == EGRESS and (network := scene.network()) is not None:
        peer["networks"] = [str(network)]
    else:
        return None
    port = {scene.packet.protocol.lower(): {"destinationPort": {"number": scene.packet.port}}}
    side = "to" if scene.decision.direction == EGRESS else "from"
    return {"action": "Accept" if allow else "Deny", side: [peer], "protocols": [port]}


def _read_calico(spec: dict[str, Any]) -> Any:  # noqa: ANN401 - one of the models of `Other`
    """The rules as the API reads them: what is offered is what is evaluated."""
    manifest = {"apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy", "metadata": {"name": "a"}, "spec": spec}
    return read_objects([manifest]).calico_policies[0]


def _read_cluster(spec: dict[str, Any]) -> Any:  # noqa: ANN401 - one of the models of `Other`
    whole = {"tier": "Admin", "priority": 1, "subject": {"namespaces": {}}, **spec}
    version = "policy.networking.k8s.io/v1alpha2"
    manifest = {"apiVersion": version, "kind": "ClusterNetworkPolicy", "metadata": {"name": "a"}, "spec": whole}
    return read_objects([manifest]).cluster_policies[0]


def _text(selector: LabelSelector) -> str:
    """A selector in Calico's language."""
    parts = []
    for each in selector.requirements:
        values = ", ".join(f"'{value}'" for value in each.values)
        match each.operator:
            case "In" if len(each.values) == 1:
                parts.append(f"{each.key} == {values}")
            case "In" | "NotIn":
                parts.append(f"{each.key} {'in' if each.operator == 'In' else 'not in'} {{{values}}}")
            case _:
                parts.append(f"{'!' if each.operator == 'DoesNotExist' else ''}has({each.key})")
    return " && ".join(parts)


def _said(scene: Scene) -> str:
    """The peer and the port of the packet in words."""
    side = "to" if scene.decision.direction == EGRESS else "from"
    peer = str(scene.network())
    if scene.peer.selectable:
        selector = scene.selector(scene.peer)
        pods = f"pods {selector}" if selector.requirements else "all pods"
        peer = f"{pods} of namespace {scene.peer.namespace}"
    port = f" at {scene.packet.port}/{scene.packet.protocol}" if scene.packet.protocol in PROTOCOLS else ""
    return f"{side} {peer}{port or f' with {scene.packet.protocol}'}"
