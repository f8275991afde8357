"""Lints as a table: what is written, which codes it gives, and what is so near that it must give none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from grader.kube.parse import read_objects
from grader.lint import lint
from grader.lint.finding import CODES
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

DNS = "{ports: [{port: 53, protocol: UDP}]}"


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        # a policy that selects nothing, one that selects something
        (["{podSelector: {matchLabels: {app: nothing-like-it}}}"], {"ND001"}),
        (["{podSelector: {matchLabels: {app: db}}}"], set()),
        (["{podSelector: {}}"], set()),
        (["empty|{podSelector: {}}"], {"ND001"}),
        # only pods in their node's network
        (["lobby|{podSelector: {matchLabels: {app: agent}}}"], {"ND002"}),
        (["lobby|{podSelector: {matchExpressions: [{key: app, operator: In, values: [agent, web]}]}}"], set()),
        # peers
        (["{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: zzz}}}]}]}"], {"ND003"}),
        (["{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}"], set()),
        (["{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: zzz}}}]}]}"], {"ND003"}),
        (["{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}"], set()),
        # a label that is nearly there
        (["{podSelector: {matchLabels: {part: app, tier: fron}}}"], {"ND012"}),
        (["{podSelector: {matchLabels: {tiers: front}}}"], {"ND012"}),
        (["{podSelector: {matchLabels: {app.kubernetes.io/name: db}}}"], {"ND012"}),
        (["{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: bleu}}}]}]}"], {"ND012"}),
        # named ports
        (["{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: http}]}]}"], set()),
        (["{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: sql}]}]}"], {"ND004"}),
        (["{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: dns}]}]}"], {"ND004"}),
        (["{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: dns, protocol: UDP}]}]}"], set()),
        (
            [f"{{podSelector: {{}}, egress: [{DNS}, {{to: [{{podSelector: {{}}}}], ports: [{{port: nope}}]}}]}}"],
            {"ND004"},
        ),
        # said twice
        (["{podSelector: {matchLabels: {app: db}}}", "{podSelector: {matchLabels: {app: db}}}"], {"ND006"}),
        (["{podSelector: {matchLabels: {app: db}}}", "{podSelector: {matchLabels: {app: web}}}"], set()),
        (["{podSelector: {}, ingress: [{ports: [{port: 80}]}, {ports: [{port: 80}]}]}"], {"ND006"}),
        (["{podSelector: {}, ingress: [{ports: [{port: 80}]}, {ports: [{port: 81}]}]}"], set()),
        # a wide rule of the same tier makes no narrow one useless to its author
        (["{podSelector: {}, ingress: [{}]}", "{podSelector: {}, ingress: [{ports: [{port: 80}]}]}"], set()),
        # names must be looked up
        (["{podSelector: {}, egress: [{to: [{podSelector: {}}]}]}"], {"ND007"}),
        ([f"{{podSelector: {{}}, egress: [{{to: [{{podSelector: {{}}}}]}}, {DNS}]}}"], set()),
        (["{podSelector: {}, policyTypes: [Egress]}"], set()),
        (["{podSelector: {}, egress: [{to: [{namespaceSelector: {}}], ports: [{port: 53}]}]}"], {"ND007"}),
        # ranges
        (["{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.96.0.7/32}}]}]}"], {"ND008"}),
        (["{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.96.0.0/16}}]}]}"], {"ND008"}),
        (["{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}"], set()),
        # directions that are not enforced
        (["{podSelector: {}, policyTypes: [Ingress], egress: [{}]}"], {"ND010"}),
        (["{podSelector: {}, policyTypes: [Egress], ingress: [{}], egress: [{}]}"], {"ND010"}),
        (["{podSelector: {}, ingress: [{}], egress: [{}]}"], set()),
    ],
)
def test_network_policies(shop: Callable[..., World], specs: list[str], expected: set[str]) -> None:
    assert {each.code for each in lint(shop(*specs))} == expected


def world(*documents: str) -> World:
    return World(read_objects([item for text in documents for item in yaml.load_all(text, yaml.CSafeLoader)]))


PODS = "\n---\n".join(
    json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": "shop",
                "labels": {"app": name.partition("-")[0]},
                "ownerReferences": [{"kind": "StatefulSet", "name": name.partition("-")[0]}],
            },
            "status": {"podIP": address},
        }
    )
    for name, address in (("web-0", "10.0.0.1"), ("web-1", "10.0.0.9"), ("db-0", "10.0.0.2"))
)


def cluster_policy(name: str, priority: int, rule: str, kind: str = "ClusterNetworkPolicy") -> str:
    version = "policy.networking.k8s.io/v1alpha" + ("2" if kind == "ClusterNetworkPolicy" else "1")
    tier = "tier: Admin, " if kind == "ClusterNetworkPolicy" else ""
    subject = "subject: {namespaces: {}}"
    return (
        f"{{apiVersion: {version}, kind: {kind}, metadata: {{name: {name}}}, "
        f"spec: {{{tier}priority: {priority}, {subject}, ingress: [{rule}]}}}}"
    )


def calico_policy(name: str, spec: str) -> str:
    return (
        "{apiVersion: projectcalico.org/v3, kind: NetworkPolicy, "
        f"metadata: {{name: {name}, namespace: shop}}, spec: {{{spec}}}}}"
    )


DENY, ALLOW = "ingress: [{action: Deny}]", "ingress: [{action: Allow}]"
DENY_TCP = "ingress: [{action: Deny, protocol: TCP}]"
FROM_WEB = "{action: Allow, source: {selector: app == 'web'}}"
EVERYBODY = "from: [{namespaces: {}}]"
PASS_ALL, DENY_ALL = (f"{{action: {action}, {EVERYBODY}}}" for action in ("Pass", "Deny"))
NETWORK_POLICY = (
    "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: np, namespace: shop}, "
    "spec: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}}"
)


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        # a rule behind one that decides all of it
        ([calico_policy("p", f"ingress: [{{action: Deny}}, {FROM_WEB}]")], {"ND005"}),
        ([calico_policy("p", "ingress: [{action: Pass}, {action: Deny}]")], {"ND005"}),
        ([calico_policy("p", "ingress: [{action: Log}, {action: Deny}]")], set()),
        ([calico_policy("p", f"ingress: [{FROM_WEB}, {{action: Deny}}]")], set()),
        ([calico_policy("a", f"order: 1, {DENY}"), calico_policy("b", f"order: 2, {ALLOW}")], {"ND005"}),
        ([calico_policy("a", f"order: 1, {DENY_TCP}"), calico_policy("b", f"order: 2, {ALLOW}")], set()),
        # an administrator's policy that leaves nothing to a namespace's own
        ([cluster_policy("all", 1, f"{{action: Deny, {EVERYBODY}}}"), NETWORK_POLICY], {"ND005"}),
        ([cluster_policy("all", 1, f"{{action: Pass, {EVERYBODY}}}"), NETWORK_POLICY], set()),
        # order
        ([cluster_policy("a", 1, PASS_ALL), cluster_policy("b", 1, DENY_ALL)], {"ND005", "ND013"}),
        ([cluster_policy("a", 1, PASS_ALL), cluster_policy("b", 2, DENY_ALL)], {"ND005"}),
        # superseded, unknown tier, types
        ([cluster_policy("a", 1, PASS_ALL, "AdminNetworkPolicy")], {"ND011"}),
        ([calico_policy("ghost.p", f"tier: ghost, {DENY}")], {"ND011"}),
        ([calico_policy("p", f"types: [Egress], {DENY}, egress: [{{action: Allow}}]")], {"ND010"}),
        # selectors of Calico
        ([calico_policy("p", f"selector: app == 'wep', {DENY}")], {"ND012"}),
        ([calico_policy("p", "ingress: [{action: Allow, source: {selector: app == 'nobody-here'}}]")], {"ND003"}),
        # a range that covers some pods of a workload
        ([calico_policy("p", "ingress: [{action: Deny, source: {nets: [10.0.0.0/29]}}]")], {"ND009"}),
        ([calico_policy("p", "ingress: [{action: Deny, source: {nets: [10.0.0.0/28]}}]")], set()),
    ],
)
def test_other_policies(policies: list[str], expected: set[str]) -> None:
    assert {each.code for each in lint(world(PODS, *policies))} == expected


def test_calico_policies_in_a_cluster_without_calico() -> None:
    server = (
        "{apiVersion: v1, kind: Pod, metadata: {name: s, namespace: kube-system, labels: {component: kube-apiserver}}}"
    )
    node = "{apiVersion: v1, kind: Pod, metadata: {name: c, namespace: kube-system, labels: {k8s-app: calico-node}}}"
    policy = calico_policy("p", "ingress: [{action: Deny}]")
    assert {each.code for each in lint(world(PODS, server, policy))} == {"ND011"}
    assert lint(world(PODS, server, node, policy)) == ()


def test_a_finding_names_its_place_reason_and_fix(shop: Callable[..., World]) -> None:
    (found,) = lint(shop("{podSelector: {}, ingress: [{}, {from: [{podSelector: {matchLabels: {app: wep}}}]}]}"))
    assert (found.code, found.direction, found.rule, str(found.policy)) == (
        "ND012",
        "ingress",
        2,
        "NetworkPolicy shop/p1",
    )
    assert found.fix == "did you mean app=web?"
    assert "nothing has the label app=wep" in str(found)


def test_siblings_are_no_typing_errors() -> None:
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": n, "namespace": "a", "labels": {"app": n}}}
        for n in ("worker-1", "worker-2")
    ]
    policy: dict[str, Any] = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": "a"},
        "spec": {"podSelector": {"matchLabels": {"app": "worker-3"}}},
    }
    assert [each.code for each in lint(World(read_objects([*pods, policy])))] == ["ND001"]


def test_every_code_has_a_case() -> None:
    assert sorted(CODES) == [f"ND{number:03}" for number in range(1, 14)]
