"""Edits that turn a verdict: which are offered, and the laws that each does what it says, as a patch too."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonpatch
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.edits.search import smallest_edits
from grader.kube.dump import dump_policy
from grader.kube.parse import read_objects
from grader.reachability.verdict import Flow
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.edits.search import Edit

WEB_TO_DB = Flow("shop/web", "shop/db", 5432)
GUEST_TO_DB = Flow("lobby/guest", "shop/db", 5432)
OUTSIDE_TO_DB = Flow("ip:192.0.2.9", "shop/db", 5432)
ONLY_NEW = "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: new}}}]}]}"
ANYBODY = "{podSelector: {matchLabels: {app: db}}, ingress: [{}]}"
TWO_PORTS = "{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 5432}, {port: 8081}]}]}"
RANGE = "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}"
TWO_PEERS = (
    "{podSelector: {matchLabels: {app: db}}, ingress: [{from: "
    "[{podSelector: {matchLabels: {app: new}}}, {podSelector: {matchLabels: {app: web}}}]}]}"
)
P1, WEB = "NetworkPolicy shop/p1", "pods app=web"
ALLOW_WEB = (
    f"add NetworkPolicy shop/db-allow-web: ingress of pods app=db is allowed from {WEB} of its namespace at 5432/TCP"
)
LET_OUT = "add an egress rule to NetworkPolicy shop/p2: to pods app=db of its namespace at 5432/TCP"
PROTECT = "add NetworkPolicy shop/protect-db: ingress of pods app=db is allowed"
WEB_TO_DB_AT_9 = Flow("shop/web", "shop/db", 9)
MUTE = "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}"


@pytest.mark.parametrize(
    ("specs", "flow", "expected"),
    [
        # to open: a peer, a port, a rule, a policy
        ([ONLY_NEW], WEB_TO_DB, f"add the peer {WEB} of its namespace to {P1} ingress rule 1"),
        ([ONLY_NEW], GUEST_TO_DB, f"add the peer {WEB} of namespace lobby to {P1} ingress rule 1"),
        ([ONLY_NEW], OUTSIDE_TO_DB, f"add the peer 192.0.2.9/32 to {P1} ingress rule 1"),
        ([TWO_PORTS], WEB_TO_DB_AT_9, f"add an ingress rule to {P1}: from {WEB} of its namespace at 9/TCP"),
        (["{podSelector: {}}"], WEB_TO_DB, ALLOW_WEB),
        # both ends closed
        (["{podSelector: {}}", MUTE], WEB_TO_DB, f"{ALLOW_WEB}; and {LET_OUT}"),
        # to close
        ([TWO_PEERS], WEB_TO_DB, f"remove the peer {WEB} of its namespace from ingress rule 1 of {P1}"),
        ([TWO_PORTS], WEB_TO_DB, f"remove the port 5432/TCP from ingress rule 1 of {P1}"),
        ([RANGE], OUTSIDE_TO_DB, f"except 192.0.2.9/32 from 192.0.2.0/24 in ingress rule 1 of {P1}"),
        ([ANYBODY], GUEST_TO_DB, f"give ingress rule 1 of {P1} a `from`: all pods of its namespace"),
        ([ANYBODY], OUTSIDE_TO_DB, f"give ingress rule 1 of {P1} a `from`: all pods of every namespace"),
        ([], WEB_TO_DB, f"{PROTECT} nothing"),
        ([], GUEST_TO_DB, f"{PROTECT} from all pods of its namespace"),
        # two policies allow the same
        (
            [TWO_PORTS, TWO_PORTS],
            WEB_TO_DB,
            (
                f"remove the port 5432/TCP from ingress rule 1 of {P1}; and "
                "remove the port 5432/TCP from ingress rule 1 of NetworkPolicy shop/p2"
            ),
        ),
    ],
)
def test_what_is_offered(shop: Callable[..., World], specs: list[str], flow: Flow, expected: str) -> None:
    assert expected in [edit.words for edit in smallest_edits(shop(*specs), flow)]


def test_what_else_changes_is_said(shop: Callable[..., World]) -> None:
    first, *_ = smallest_edits(shop(ONLY_NEW), WEB_TO_DB)
    assert (first.opens, first.closes, first.besides) == (0, 0, "nothing else changes")
    removed = next(
        edit for edit in smallest_edits(shop(TWO_PEERS), WEB_TO_DB, most=9) if "remove ingress rule" in edit.words
    )
    assert removed.besides.startswith("closes 2 other pairs, for example shop/")


def test_where_nothing_can_be_done(shop: Callable[..., World]) -> None:
    """A pod always reaches itself; a node its own pods."""
    assert smallest_edits(shop(), Flow("shop/web", "shop/web", 80)) == ()
    assert smallest_edits(shop(), Flow("node:n2", "shop/db", 80)) == ()


PODS = "\n---\n".join(
    f"{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {space}, labels: {{app: {name}}}}}, "
    f"status: {{podIP: {address}}}}}"
    for name, space, address in (("web", "a", "10.0.0.1"), ("db", "a", "10.0.0.2"), ("out", "b", "10.0.0.3"))
)
CALICO = (
    "{{apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {{name: p, namespace: a}}, "
    "spec: {{selector: app == 'db', ingress: [{}]}}}}"
)
CLUSTER = (
    "{{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {{name: c}}, "
    "spec: {{tier: Admin, priority: 5, subject: {{namespaces: {{}}}}, ingress: [{}]}}}}"
)
DENY_ALL = "{action: Deny, from: [{namespaces: {}}]}"


@pytest.mark.parametrize(
    ("policy", "flow", "expected"),
    [
        (
            CALICO.format("{action: Deny}"),
            Flow("b/out", "a/db", 80),
            "add to Calico NetworkPolicy a/p, ingress, before rule 1: allow from pods app=out of namespace b at 80/TCP",
        ),
        (
            CALICO.format("{action: Allow, protocol: UDP}"),
            Flow("a/web", "a/db", 80),
            "add to Calico NetworkPolicy a/p, ingress, at the end: allow from pods app=web of namespace a at 80/TCP",
        ),
        (
            CALICO.format("{action: Allow}"),
            Flow("ip:192.0.2.1", "a/db", 80),
            "add to Calico NetworkPolicy a/p, ingress, before rule 1: deny from 192.0.2.1/32 at 80/TCP",
        ),
        (
            CALICO.format("{action: Allow}"),
            Flow("a/web", "a/db", 0, "ICMP"),
            "add to Calico NetworkPolicy a/p, ingress, before rule 1: deny from pods app=web of namespace a with ICMP",
        ),
        (
            CLUSTER.format(DENY_ALL),
            Flow("b/out", "a/db", 80),
            "add to ClusterNetworkPolicy c, ingress, before rule 1: accept from pods app=out of namespace b at 80/TCP",
        ),
        (CLUSTER.format(DENY_ALL), Flow("b/out", "a/db", 80), "remove ingress rule 1 of ClusterNetworkPolicy c"),
        (
            CLUSTER.format(DENY_ALL.replace("Deny", "Accept")),
            Flow("b/out", "a/db", 80),
            "add to ClusterNetworkPolicy c, ingress, before rule 1: deny from pods app=out of namespace b at 80/TCP",
        ),
    ],
)
def test_other_policies(policy: str, flow: Flow, expected: str) -> None:
    manifests = [*yaml.load_all(PODS, yaml.CSafeLoader), yaml.load(policy, yaml.CSafeLoader)]
    world = World(read_objects(manifests))
    edits = smallest_edits(world, flow, most=9)
    assert expected in [edit.words for edit in edits]
    for edit in edits:
        assert _patched(manifests, edit).verdict(flow).allowed is not world.verdict(flow).allowed


def _patched(manifests: list[dict[str, Any]], edit: Edit) -> World:
    """The cluster after the patches and the new manifests of an edit."""
    changed = copy.deepcopy(manifests)
    for step in edit.steps:
        if step.manifest:
            changed.append(dict(step.manifest))
            continue
        assert step.policy is not None
        wanted = (step.policy.kind, step.policy.namespace, step.policy.name)
        for number, item in enumerate(changed):
            metadata = item["metadata"]
            if (item["kind"], metadata.get("namespace", ""), metadata["name"]) == wanted:
                changed[number] = jsonpatch.apply_patch(item, [dict(each) for each in step.patch])
    return World(read_objects(changed))


labels = st.fixed_dictionaries({"app": st.sampled_from("xyz")})
selector = st.one_of(st.just({}), labels.map(lambda found: {"matchLabels": found}))
peer = st.one_of(
    selector.map(lambda found: {"podSelector": found}),
    st.just({"namespaceSelector": {}}),
    st.sampled_from(["10.0.0.0/30", "192.0.2.0/24"]).map(lambda cidr: {"ipBlock": {"cidr": cidr}}),
)
port = st.sampled_from([{"port": 80}, {"port": 79, "endPort": 81}, {"protocol": "UDP"}])


def rule(side: str) -> st.SearchStrategy[dict[str, Any]]:
    parts = {side: st.lists(peer, min_size=1, max_size=2), "ports": st.lists(port, min_size=1, max_size=2)}
    return st.fixed_dictionaries({}, optional=parts)


policy = st.builds(
    lambda namespace, chosen, types, ingress, egress: {
        "namespace": namespace,
        "spec": {"podSelector": chosen, "policyTypes": types, "ingress": ingress, "egress": egress},
    },
    st.sampled_from("ab"),
    selector,
    st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
    st.lists(rule("from"), max_size=2),
    st.lists(rule("to"), max_size=2),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    pods=st.lists(st.tuples(st.sampled_from("ab"), labels), min_size=2, max_size=4),
    policies=st.lists(policy, max_size=3),
    at=st.sampled_from([(80, "TCP"), (9, "UDP")]),
    outside=st.booleans(),
)
def test_an_offered_edit_turns_its_verdict(
    pods: list[tuple[str, dict[str, str]]], policies: list[dict[str, Any]], at: tuple[int, str], *, outside: bool
) -> None:
    manifests: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"p{number}", "namespace": namespace, "labels": found},
            "status": {"podIP": f"10.0.0.{number}"},
        }
        for number, (namespace, found) in enumerate(pods)
    ]
    manifests += [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": f"np{number}", "namespace": each["namespace"]},
            "spec": each["spec"],
        }
        for number, each in enumerate(policies)
    ]
    world = World(read_objects(manifests))
    source, destination = sorted(world.endpoints.pods)[:2]
    flow = Flow("ip:192.0.2.9" if outside else source, destination, *at)
    was = world.verdict(flow).allowed
    edits = smallest_edits(world, flow)
    assert edits
    for edit in edits:
        assert World(edit.steps[-1].objects).verdict(flow).allowed is not was
        assert _patched(manifests, edit).verdict(flow).allowed is not was
        assert (edit.witness is None) is (edit.opens == edit.closes == 0)


@given(policy)
def test_what_is_dumped_reads_back(drawn: dict[str, Any]) -> None:
    manifest = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": drawn["namespace"]},
        "spec": drawn["spec"],
    }
    (read,) = read_objects([manifest]).policies
    (again,) = read_objects([dump_policy(read)]).policies
    assert again == read


def _beside(name: str) -> Any:
    """A module of this folder, for its strategies."""
    spec = importlib.util.spec_from_file_location(f"{name}_for_edits", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    objects=_beside("test_calico_laws").clusters(),
    at=st.sampled_from([(80, "TCP"), (9, "UDP"), (0, "ICMP")]),
    outside=st.booleans(),
)
def test_an_offered_edit_turns_its_verdict_in_any_tier(
    objects: list[dict[str, Any]], at: tuple[int, str], *, outside: bool
) -> None:
    world = World(read_objects(objects))
    source, destination = sorted(world.endpoints.pods)[:2]
    flow = Flow("ip:192.0.2.9" if outside else source, destination, *at)
    edits = smallest_edits(world, flow)
    assert edits
    for edit in edits:
        assert _patched(objects, edit).verdict(flow).allowed is not world.verdict(flow).allowed, edit.words
