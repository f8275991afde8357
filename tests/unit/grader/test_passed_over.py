"""Which kinds that are not read may decide traffic."""

from __future__ import annotations

import pytest

from grader.kube.passed_over import may_decide, may_decide_named, plural


@pytest.mark.parametrize(
    ("kind", "decides"),
    [
        ("BGPPeer.projectcalico.org", False),
        ("BGPConfiguration.crd.projectcalico.org", False),
        ("IPAMBlock.crd.projectcalico.org", False),
        ("BlockAffinity.projectcalico.org", False),
        ("KubeControllersConfiguration.projectcalico.org", False),
        ("RemoteClusterConfiguration.projectcalico.org", True),
        ("SomethingNew.policy.networking.k8s.io", True),
        ("CiliumNetworkPolicy.cilium.io", True),
        ("CiliumIdentity.cilium.io", False),
        ("TLSRoute.gateway.networking.k8s.io", True),
        ("BackendTLSPolicy.gateway.networking.k8s.io", False),
        ("AuthorizationPolicy.security.istio.io", True),
        ("ConfigMap", False),
        ("Secret", False),
        ("Lease.coordination.k8s.io", False),
    ],
)
def test_kinds_and_their_resources(kind: str, decides: bool) -> None:
    name, dot, group = kind.partition(".")
    assert may_decide(kind) is decides
    assert may_decide_named(f"{plural(name)}{dot}{group}") is decides


@pytest.mark.parametrize(
    ("kind", "resource"),
    [
        ("NetworkPolicy", "networkpolicies"),
        ("Gateway", "gateways"),
        ("CalicoNodeStatus", "caliconodestatuses"),
        ("BlockAffinity", "blockaffinities"),
    ],
)
def test_plurals(kind: str, resource: str) -> None:
    assert plural(kind) == resource
