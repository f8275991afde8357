"""Calico's objects from JSON to the model; errors name the field's path.

Both API versions: projectcalico.org/v3 as people write it, and crd.projectcalico.org/v1 as the cluster stores it (there
names carry the prefix `default.`, and labels may be kept in an annotation).
"""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from grader.calico.fields import WITH_PORTS, read_expression, read_nets, read_order, read_ports, read_protocol
from grader.calico.model import (
    DEFAULT_TIER,
    CalicoPolicy,
    CalicoTier,
    FailSafe,
    FelixConfiguration,
    HostEndpoint,
    IPPool,
    NetworkSet,
    Profile,
)
from grader.calico.rules import read_rules
from grader.calico.selectors import uses_global
from grader.kube.model import ContainerPort
from grader.kube.policies import read_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grader.calico.model import CalicoRule
    from grader.calico.selectors import Expression
    from grader.kube.fields import Problems
    from grader.kube.model import Address, Origin

VERSIONS = ("projectcalico.org/v3", "crd.projectcalico.org/v1")
NAMESPACED = frozenset({"NetworkPolicy", "StagedNetworkPolicy", "StagedKubernetesNetworkPolicy", "NetworkSet"})
_STORED_METADATA = "projectcalico.org/metadata"
_TIER_LABEL = "projectcalico.org/tier"
_RULES = frozenset({"types", "ingress", "egress"})
BUILT_IN = {"kube-admin": (1_000, "Pass"), "default": (1_000_000, "Deny"), "kube-baseline": (10_000_000, "Pass")}
"""Tiers that are always there, with the order and default action that they must have (`v3` API types, `tier.go`)."""
_POLICY = _RULES | {"order", "tier", "selector", "serviceAccountSelector", "performanceHints"}
_GLOBAL = _POLICY | {"namespaceSelector", "doNotTrack", "preDNAT", "applyOnForward"}
_STAGED_ACTIONS = ("Set", "Delete", "Learn", "Ignore")

CalicoObject = CalicoPolicy | CalicoTier | NetworkSet | HostEndpoint | Profile | IPPool | FelixConfiguration


def read_calico(
    kind: str, manifest: Mapping[str, Any], namespace: str, name: str, origin: Origin, problems: Problems
) -> CalicoObject:
    """Return an object of one of `KINDS`; `namespace` is empty for those of the whole cluster."""
    spec = problems.mapping(manifest.get("spec"), "spec")
    return _READERS[kind](_Read(kind, manifest, spec, namespace, name, origin, problems))


class _Read:
    """What every reader is given."""

    def __init__(
        self,
        kind: str,
        manifest: Mapping[str, Any],
        spec: Mapping[str, Any],
        namespace: str,
        name: str,
        origin: Origin,
        problems: Problems,
    ) -> None:
        self.kind, self.manifest, self.spec = kind, manifest, spec
        self.namespace, self.name, self.origin, self.problems = namespace, name, origin, problems

    def expression(self, field: str) -> Expression | None:
        found = read_expression(self.spec.get(field), f"spec.{field}", self.problems)
        if found is not None and uses_global(found):
            self.problems.forbidden(f"spec.{field}", "global() can only be used in a rule's namespaceSelector")
        return found

    def flag(self, field: str) -> bool:
        return self.problems.flag(self.spec.get(field), f"spec.{field}")

    def texts(self, field: str) -> list[str]:
        listed = enumerate(self.problems.sequence(self.spec.get(field), f"spec.{field}"))
        return [self.problems.text(entry, f"spec.{field}[{index}]") for index, entry in listed]

    def labels(self) -> dict[str, str]:
        """Labels of the object; those of a stored one may be in its annotation."""
        metadata = self.problems.mapping(self.manifest.get("metadata"), "metadata")
        labels = self.problems.labels(metadata.get("labels"), "metadata.labels")
        annotations = metadata.get("annotations")
        stored = annotations.get(_STORED_METADATA) if isinstance(annotations, dict) else None
        if isinstance(stored, str):
            path = f"metadata.annotations.{_STORED_METADATA}"
            try:
                kept = self.problems.mapping(json.loads(stored), path)
            except (ValueError, RecursionError):
                self.problems.invalid(path, stored, "must be JSON")
            else:
                labels.update(self.problems.labels(kept.get("labels"), f"{path}.labels"))
        return labels

    def rules(self) -> tuple[tuple[CalicoRule, ...], tuple[CalicoRule, ...]]:
        namespaced = bool(self.namespace)
        ingress = read_rules(self.spec, "ingress", self.problems, namespaced=namespaced)
        return ingress, read_rules(self.spec, "egress", self.problems, namespaced=namespaced)


def _read_policy(read: _Read) -> CalicoPolicy:
    spec, problems = read.spec, read.problems
    staged = read.kind.startswith("Staged")
    world_wide = not read.namespace
    problems.unknown("spec", spec, (_GLOBAL if world_wide else _POLICY) | ({"stagedAction"} if staged else set()))
    tier = problems.text(spec.get("tier"), "spec.tier") or read.labels().get(_TIER_LABEL) or DEFAULT_TIER
    ingress, egress = read.rules()
    types = _read_types(read)
    policy = CalicoPolicy(
        kind=read.kind,
        namespace=read.namespace,
        name=_bare_name(read.name, read.manifest, tier),
        tier=tier,
        order=read_order(spec.get("order"), "spec.order", problems),
        selector=read.expression("selector"),
        namespace_selector=read.expression("namespaceSelector"),
        account_selector=read.expression("serviceAccountSelector"),
        ingress=ingress,
        egress=egress,
        applies_ingress="Ingress" in types if types else bool(ingress) or not egress,
        applies_egress="Egress" in types if types else bool(egress),
        do_not_track=world_wide and read.flag("doNotTrack"),
        pre_dnat=world_wide and read.flag("preDNAT"),
        apply_on_forward=world_wide and read.flag("applyOnForward"),
        staged=staged,
        staged_action=_staged_action(read) if staged else "",
        origin=read.origin,
    )
    _check_host_flags(policy, problems)
    return policy


def _bare_name(name: str, manifest: Mapping[str, Any], tier: str) -> str:
    """The name without the prefix `default.` under which the cluster stores policies of that tier."""
    stored = manifest.get("apiVersion") == VERSIONS[1]
    return name.removeprefix(f"{DEFAULT_TIER}.") if stored and tier == DEFAULT_TIER else name


def _read_types(read: _Read) -> list[str]:
    types = read.texts("types")
    for index, entry in enumerate(types):
        if entry not in ("Ingress", "Egress"):
            read.problems.unsupported(f"spec.types[{index}]", entry, ("Ingress", "Egress"))
    return types


def _staged_action(read: _Read) -> str:
    """What is staged; what is to be deleted may say nothing else of itself (libcalico-go `validator/v3`)."""
    action = read.problems.text(read.spec.get("stagedAction"), "spec.stagedAction") or "Set"
    if action not in _STAGED_ACTIONS:
        read.problems.unsupported("spec.stagedAction", action, _STAGED_ACTIONS)
    if action == "Delete":
        for field, value in read.spec.items():
            if value and field not in ("stagedAction", "tier"):
                why = "spec fields, except tier, should all be zero-value if stagedAction is Delete"
                read.problems.forbidden(f"spec.{field}", why)
    return action


def _check_host_flags(policy: CalicoPolicy, problems: Problems) -> None:
    if policy.pre_dnat and policy.do_not_track:
        problems.forbidden("spec.preDNAT", "preDNAT and doNotTrack cannot both be true, for a given policy")
    if policy.pre_dnat and (policy.egress or policy.applies_egress):
        problems.forbidden("spec.egress", "preDNAT policy cannot have any egress rules or type Egress")
    if (policy.pre_dnat or policy.do_not_track) and not policy.apply_on_forward:
        name = "preDNAT" if policy.pre_dnat else "doNotTrack"
        problems.invalid("spec.applyOnForward", value=False, why=f"must be true where {name} is")


def _read_staged_kubernetes(read: _Read) -> CalicoPolicy:
    """A Kubernetes policy that is only staged: types and rules follow Kubernetes."""
    inner = {key: value for key, value in read.spec.items() if key != "stagedAction"}
    policy = read_policy({**read.manifest, "spec": inner}, read.namespace, read.name, read.origin, read.problems)
    return CalicoPolicy(
        kind=read.kind,
        namespace=read.namespace,
        name=read.name,
        order=1000,
        applies_ingress=policy.isolates_ingress,
        applies_egress=policy.isolates_egress,
        staged=True,
        staged_action=_staged_action(read),
        kubernetes=policy,
        origin=read.origin,
    )


def _read_tier(read: _Read) -> CalicoTier:
    read.problems.unknown("spec", read.spec, frozenset({"order", "defaultAction"}))
    action = read.problems.text(read.spec.get("defaultAction"), "spec.defaultAction")
    if action not in ("", "Deny", "Pass"):
        read.problems.unsupported("spec.defaultAction", action, ("Deny", "Pass"))
    order = read_order(read.spec.get("order"), "spec.order", read.problems)
    if read.name in BUILT_IN and not read.problems.lenient:
        fixed, wanted = BUILT_IN[read.name]
        if order != fixed:
            read.problems.invalid("spec.order", read.spec.get("order"), f"{read.name} tier order must be {fixed}")
        if (action or "Deny") != wanted:
            why = f"The '{read.name}' tier must have default action '{wanted}'"
            read.problems.invalid("spec.defaultAction", action or "Deny", why)
    return CalicoTier(read.name, order, action == "Pass", read.origin)


def _read_network_set(read: _Read) -> NetworkSet:
    read.problems.unknown("spec", read.spec, frozenset({"nets"}))
    nets = read_nets(read.spec.get("nets"), "spec.nets", read.problems)
    return NetworkSet(read.namespace, read.name, read.labels(), nets, read.origin)


def _read_host_endpoint(read: _Read) -> HostEndpoint:
    spec, problems = read.spec, read.problems
    problems.unknown("spec", spec, frozenset({"node", "interfaceName", "expectedIPs", "profiles", "ports"}))
    addresses: list[Address] = []
    for index, entry in enumerate(read.texts("expectedIPs")):
        try:
            addresses.append(ip_address(entry))
        except ValueError:
            problems.invalid(f"spec.expectedIPs[{index}]", entry, "must be an IP address")
    interface = problems.text(spec.get("interfaceName"), "spec.interfaceName")
    node = problems.text(spec.get("node"), "spec.node")
    if not node:
        problems.required("spec.node", "no node name")
    if not interface and not addresses:
        problems.required("spec.interfaceName", "no interface or expected IPs have been specified")
    return HostEndpoint(
        name=read.name,
        labels=read.labels(),
        node=node,
        interface=interface,
        addresses=tuple(addresses),
        profiles=tuple(read.texts("profiles")),
        ports=tuple(_endpoint_ports(read)),
        origin=read.origin,
    )


def _endpoint_ports(read: _Read) -> list[ContainerPort]:
    found = []
    for index, value in enumerate(read.problems.sequence(read.spec.get("ports"), "spec.ports")):
        path = f"spec.ports[{index}]"
        fields = read.problems.mapping(value, path)
        number = read.problems.port(fields.get("port"), f"{path}.port")
        protocol = read_protocol(fields.get("protocol"), f"{path}.protocol", read.problems)
        if protocol not in WITH_PORTS:
            read.problems.unsupported(f"{path}.protocol", fields.get("protocol"), WITH_PORTS)
        found.append(ContainerPort(number, protocol, read.problems.text(fields.get("name"), f"{path}.name")))
    return found


def _read_profile(read: _Read) -> Profile:
    # `types` was never a field of profiles, and is found in them all the same: it has no effect.
    read.problems.unknown("spec", read.spec, _RULES | {"labelsToApply"})
    ingress, egress = read.rules()
    labels = read.problems.labels(read.spec.get("labelsToApply"), "spec.labelsToApply")
    return Profile(read.name, labels, ingress, egress, read.origin)


def _read_pool(read: _Read) -> IPPool:
    nets = read_nets([read.spec.get("cidr")], "spec.cidr", read.problems)
    return IPPool(read.name, nets[0] if nets else None, read.flag("disabled"), read.origin)


def _read_felix(read: _Read) -> FelixConfiguration:
    return FelixConfiguration(
        read.name, _fail_safes(read, "failsafeInboundHostPorts"), _fail_safes(read, "failsafeOutboundHostPorts")
    )


def _fail_safes(read: _Read, field: str) -> tuple[FailSafe, ...] | None:
    if read.spec.get(field) is None:
        return None
    found = []
    for index, value in enumerate(read.problems.sequence(read.spec[field], f"spec.{field}")):
        path = f"spec.{field}[{index}]"
        fields = read.problems.mapping(value, path)
        protocol = read.problems.text(fields.get("protocol"), f"{path}.protocol", "TCP").upper()
        nets = read_nets([fields["net"]], f"{path}.net", read.problems) if fields.get("net") else ()
        ports = read_ports([fields.get("port")], f"{path}.port", read.problems)
        found.append(FailSafe(protocol, ports[0].low, nets[0] if nets else None))
    return tuple(found)


_READERS: dict[str, Callable[[_Read], CalicoObject]] = {
    "NetworkPolicy": _read_policy,
    "GlobalNetworkPolicy": _read_policy,
    "StagedNetworkPolicy": _read_policy,
    "StagedGlobalNetworkPolicy": _read_policy,
    "StagedKubernetesNetworkPolicy": _read_staged_kubernetes,
    "Tier": _read_tier,
    "NetworkSet": _read_network_set,
    "GlobalNetworkSet": _read_network_set,
    "HostEndpoint": _read_host_endpoint,
    "Profile": _read_profile,
    "IPPool": _read_pool,
    "FelixConfiguration": _read_felix,
}
KINDS = frozenset(_READERS)
