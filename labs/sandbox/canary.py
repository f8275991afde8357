"""Pods that nobody sees, by which a runtime shows that its policies stop packets here and now.

On every node one pod that a policy closes and one that a policy opens for the client; the client is on the first node.
The policies go through the same compiler as everybody's.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError, NotEnforcedError
from grader.kube.model import LabelSelector, Namespace, NetworkPolicy, Objects, Peer, Pod, PolicyRule, Requirement
from grader.ports import Outcome, Probe
from labs.sandbox.runtime import ContainerSpec, PodSpec, ServedPort

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grader.ports import Observation

NAMESPACE = ".canary"
"""No name that the API would take, so no pod of a lab can be one of these."""

_CLIENT, _OPEN, _CLOSED = "client", "open", "closed"
_NETWORK4 = IPv4Address("198.18.0.0")
_NETWORK6 = IPv6Address("fd6e:6574:646f:6a6f::")
_PORT = 8080


def pods(nodes: Sequence[str]) -> tuple[PodSpec, ...]:
    """The canary's pods for these nodes. Their addresses are of a range that is set aside for tests (RFC 2544)."""
    wanted = [(nodes[0], _CLIENT, 3)] if nodes else []
    wanted += [(node, role, part) for node in nodes for part, role in enumerate((_OPEN, _CLOSED), start=1)]
    return tuple(_pod(node, role, 256 * (nodes.index(node) + 1) + part) for node, role, part in wanted)


def _pod(node: str, role: str, number: int) -> PodSpec:
    return PodSpec(
        uid=f"{NAMESPACE}/{role}-{node}",
        namespace=NAMESPACE,
        name=f"{role}-{node}",
        node=node,
        addresses=(str(_NETWORK4 + number), str(_NETWORK6 + number)),
        containers=(ContainerSpec("canary", "agnhost", (ServedPort(_PORT),)),),
        labels={"role": role},
    )


def objects(specs: Iterable[PodSpec]) -> Objects:
    """The canary as its policies' compiler sees it. Addresses come from where the pods run."""
    return Objects(
        namespaces=(Namespace(NAMESPACE, {}),),
        pods=tuple(Pod(NAMESPACE, spec.name, spec.labels, node=spec.node) for spec in specs),
        policies=(
            NetworkPolicy(NAMESPACE, _CLOSED, _role(_CLOSED)),
            NetworkPolicy(NAMESPACE, _OPEN, _role(_OPEN), (PolicyRule((Peer(pods=_role(_CLIENT)),)),)),
        ),
    )


def _role(role: str) -> LabelSelector:
    return LabelSelector((Requirement("role", "In", (role,)),))


def probes(specs: Sequence[PodSpec], families: Iterable[int]) -> tuple[Probe, ...]:
    """From the client to every other pod of the canary, in each family."""
    refs = [f"{spec.namespace}/{spec.name}" for spec in specs]
    return tuple(Probe(refs[0], ref, _PORT, family=family) for ref in refs[1:] for family in families)


def judge(specs: Sequence[PodSpec], observations: Iterable[Observation]) -> None:
    """Compare what was seen with what the policies say.

    Raises:
        NotEnforcedError: a packet got through that should not, or did not that should.
        InfrastructureError: a probe could not be made.
    """
    roles = {f"{spec.namespace}/{spec.name}": spec.labels["role"] for spec in specs}
    for seen in observations:
        if seen.outcome is Outcome.ERROR:
            raise InfrastructureError(f"enforcement cannot be proven: {seen.detail}")
        expected = Outcome.DROPPED if roles[seen.probe.destination] == _CLOSED else Outcome.OPEN
        if seen.outcome is not expected:
            raise NotEnforcedError(
                f"the cluster does not enforce policy: the canary's packet to {seen.probe.destination} "
                f"(IPv{seen.probe.family}) was {seen.outcome}, and should be {expected}",
                remedy="reset the lab; `netdojo doctor` shows what this kernel can do",
            )
