"""What the API makes of a manifest: defaults, refusals, updates, deletions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from labs.sandbox.api import deletion, kinds
from labs.sandbox.api.apply import apply_object
from labs.sandbox.api.resources import Options
from labs.sandbox.api.status import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

POLICIES = kinds.BY_RESOURCE["networkpolicies.networking.k8s.io"]
PODS = kinds.BY_RESOURCE["pods"]
CONFIG_MAPS = kinds.BY_RESOURCE["configmaps"]
NO_CIDR = (
    'NetworkPolicy.networking.k8s.io "np" is invalid: spec.ingress[0].from[0].ipBlock.cidr: Invalid value: "10.0.0.0": '
    "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
)


def policy(spec: str) -> dict[str, Any]:
    head = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "np"}}
    return {**head, "spec": yaml.safe_load(spec)}


def service(spec: str, name: str = "web") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": yaml.safe_load(spec)}


def pod(spec: str = "{containers: [{name: main, image: nginx}]}", name: str = "web") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": yaml.safe_load(spec)}


def refusal(cluster: Any, manifest: dict[str, Any]) -> str:
    with pytest.raises(ApiError) as caught:
        apply_object(cluster.store, manifest, "shop")
    return caught.value.message


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{podSelector: {}}", {"podSelector": {}, "policyTypes": ["Ingress"]}),
        ("{podSelector: }", {"podSelector": {}, "policyTypes": ["Ingress"]}),
        ("{}", {"podSelector": {}, "policyTypes": ["Ingress"]}),
        ("{podSelector: {}, egress: []}", {"podSelector": {}, "policyTypes": ["Ingress"]}),
        ("{podSelector: {}, egress: [{}]}", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "egress": [{}]}),
        ("{podSelector: {}, ingress: [], policyTypes: [Egress]}", {"podSelector": {}, "policyTypes": ["Egress"]}),
        (
            "{podSelector: {}, ingress: [{from: [], ports: [{port: 80}, {port: dns, protocol: UDP}]}]}",
            {
                "podSelector": {},
                "policyTypes": ["Ingress"],
                "ingress": [{"ports": [{"port": 80, "protocol": "TCP"}, {"port": "dns", "protocol": "UDP"}]}],
            },
        ),
    ],
)
def test_a_policys_defaults(cluster: Any, spec: str, expected: dict[str, Any]) -> None:
    assert cluster.apply(policy(spec))["spec"] == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0}}]}]}", NO_CIDR),
        ("{podSelector: {}, ingress: [{from: [{}]}]}", "spec.ingress[0].from[0]: Required value: must specify a peer"),
        (
            "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}]}",
            'spec.egress[0].to[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`',
        ),
        ("{podSelector: {}, ingress: [{ports: [{port: 0}]}]}", "port: Invalid value: 0: must be between 1 and 65535"),
        (
            "{podSelector: {}, ingress: [{ports: [{port: 80, protocol: ICMP}]}]}",
            'Unsupported value: "ICMP": supported values: "TCP", "UDP", "SCTP"',
        ),
        (
            "{podSelector: {}, ingress: [{ports: [{port: 90, endPort: 80}]}]}",
            "endPort: Invalid value: 80: must be greater than or equal to `port`",
        ),
        ("{podSelector: {}, policyTypes: [Both]}", 'spec.policyTypes[0]: Unsupported value: "Both"'),
        ("{podselector: {}}", 'strict decoding error: unknown field "spec.podselector"'),
        (
            "{podSelector: {}, egress: [{to: [{podSelector: {app: x}}]}]}",
            'strict decoding error: unknown field "spec.egress[0].to[0].podSelector.app"',
        ),
        (
            "{podSelector: app=web}",
            "cannot unmarshal string into Go struct field NetworkPolicySpec.spec.podSelector of type v1.LabelSelector",
        ),
        (
            "{podSelector: {}, ingress: [{from: {podSelector: {}}}]}",
            "Go struct field NetworkPolicyIngressRule.spec.ingress.from of type []v1.NetworkPolicyPeer",
        ),
    ],
)
def test_a_policy_that_is_refused_is_told_in_the_servers_own_words(cluster: Any, spec: str, message: str) -> None:
    assert message in refusal(cluster, policy(spec))
    assert cluster.names(POLICIES.resource) == []


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (service("{selector: {a: b}}"), 'Service "web" is invalid: spec.ports: Required value'),
        (service("{ports: [{port: 80}, {port: 81}]}"), "[spec.ports[0].name: Required value, spec.ports[1].name:"),
        (service("{ports: [{port: 80, protocol: tcp}]}"), 'supported values: "SCTP", "TCP", "UDP"'),
        (service("{ports: [{port: 80}], clusterIP: 1.2.3.4}"), "the provided network does not match the current range"),
        (service("{ports: [{port: 80}], clusterIP: x}"), 'spec.clusterIPs[0]: Invalid value: "x": must be a valid IP'),
        (service("{ports: [{port: 80}], clusterIP: 10.96.0.10}"), "provided IP is already allocated"),
        (service("{ports: [{port: 80}], ipFamilies: [IPv6]}"), "not configured on this cluster"),
        (service("{ports: [{port: 80}]}", name="Web"), "a lowercase RFC 1123 label must consist of"),
        (pod("{containers: []}"), 'Pod "web" is invalid: spec.containers: Required value'),
        (pod("{containers: [{name: a}]}"), "spec.containers[0].image: Required value"),
        (pod("{containers: [{name: a, image: x}, {name: a, image: x}]}"), 'Duplicate value: "a"'),
        (pod("{containers: [{name: a, image: x, ports: [{containerPort: 70000}]}]}"), "must be between 1 and 65535"),
        (pod("{containers: x}"), "cannot unmarshal string into Go struct field PodSpec.spec.containers of type"),
        (pod(name="web_1"), 'metadata.name: Invalid value: "web_1": a lowercase RFC 1123 subdomain'),
        (pod("{serviceAccountName: nobody, containers: [{name: a, image: x}]}"), 'serviceaccount "nobody" not found'),
        ({"apiVersion": "v1", "kind": "Pod"}, "metadata.name: Required value: name or generateName is required"),
        ({"apiVersion": "v9", "kind": "Pod"}, 'no matches for kind "Pod" in version "v9"'),
        ({"apiVersion": ["v1"], "kind": {}}, "no matches for kind"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "nope"}}, '"nope" not found'),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": "x"}, "metadata must be an object"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": 5}}, "of type string"),
    ],
)
def test_refusals(cluster: Any, manifest: dict[str, Any], message: str) -> None:
    assert message in refusal(cluster, manifest)


def test_a_pods_defaults(cluster: Any) -> None:
    spec = cluster.apply(pod("{containers: [{name: main, image: nginx, ports: [{containerPort: 80}]}]}"))["spec"]
    container = spec["containers"][0]
    assert (spec["restartPolicy"], spec["dnsPolicy"], spec["serviceAccountName"]) == (
        "Always",
        "ClusterFirst",
        "default",
    )
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert container["imagePullPolicy"] == "Always"
    assert container["volumeMounts"][0]["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.mark.parametrize(
    ("families", "spec", "expected"),
    [
        ((4,), "{ports: [{port: 80}]}", ("SingleStack", ["IPv4"], 1)),
        ((4, 6), "{ports: [{port: 80}]}", ("SingleStack", ["IPv4"], 1)),
        ((6, 4), "{ports: [{port: 80}]}", ("SingleStack", ["IPv6"], 1)),
        ((4, 6), "{ports: [{port: 80}], ipFamilyPolicy: PreferDualStack}", ("PreferDualStack", ["IPv4", "IPv6"], 2)),
        ((4,), "{ports: [{port: 80}], ipFamilyPolicy: PreferDualStack}", ("PreferDualStack", ["IPv4"], 1)),
        ((4, 6), "{ports: [{port: 80}], ipFamilies: [IPv6]}", ("SingleStack", ["IPv6"], 1)),
        ((4, 6), "{ports: [{port: 80}], selector: {a: b}, clusterIP: None}", ("SingleStack", ["IPv4"], 1)),
    ],
)
def test_a_services_families_and_addresses(
    make_cluster: Callable[..., Any], families: tuple[int, ...], spec: str, expected: tuple[str, list[str], int]
) -> None:
    made = make_cluster(families=families).apply(service(spec))["spec"]
    assert (made["ipFamilyPolicy"], made["ipFamilies"], len(made["clusterIPs"])) == expected
    assert made["clusterIP"] == made["clusterIPs"][0]


def test_a_service_has_the_same_address_in_every_cluster(make_cluster: Callable[..., Any]) -> None:
    made = [make_cluster().apply(service("{ports: [{port: 80}]}"))["spec"]["clusterIP"] for _ in range(2)]
    assert made[0] == made[1]


def test_services_never_share_an_address_or_a_node_port(cluster: Any) -> None:
    made = [cluster.apply(service("{type: NodePort, ports: [{port: 80}]}", f"s{n}"))["spec"] for n in range(60)]
    assert len({spec["clusterIP"] for spec in made}) == 60
    assert len({spec["ports"][0]["nodePort"] for spec in made}) == 60


def test_a_change_of_type_drops_what_the_old_type_had(cluster: Any) -> None:
    cluster.apply(service("{type: NodePort, ports: [{port: 80}]}"))
    spec = cluster.apply(service("{type: ClusterIP, ports: [{port: 80}]}"))["spec"]
    assert "externalTrafficPolicy" not in spec
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]


def test_apply_takes_out_what_it_put_in_and_leaves_what_others_did(cluster: Any) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1", "b": "2"}}
    cluster.apply(body)
    now = cluster.store.get("configmaps", "shop", "c")
    cluster.resources.update(CONFIG_MAPS, "shop", "c", {**now, "data": {**now["data"], "other": "3"}})
    assert cluster.apply({**body, "data": {"a": "9"}})["data"] == {"a": "9", "other": "3"}


def test_applying_the_same_again_changes_nothing(cluster: Any) -> None:
    cluster.apply(policy("{podSelector: {}, ingress: [{ports: [{port: 80}]}]}"))
    before = cluster.store.version
    cluster.apply(policy("{podSelector: {}, ingress: [{ports: [{port: 80}]}]}"))
    assert cluster.store.version == before


def test_generation_counts_changes_of_the_spec_only(cluster: Any) -> None:
    cluster.apply(policy("{podSelector: {}}"))
    labelled = cluster.apply({**policy("{podSelector: {}}"), "metadata": {"name": "np", "labels": {"a": "b"}}})
    changed = cluster.apply(policy("{podSelector: {matchLabels: {a: b}}}"))
    assert (labelled["metadata"]["generation"], changed["metadata"]["generation"]) == (1, 2)


def test_an_update_with_an_old_version_is_a_conflict(cluster: Any) -> None:
    old = cluster.apply(policy("{podSelector: {}}"))
    cluster.apply(policy("{podSelector: {matchLabels: {a: b}}}"))
    with pytest.raises(ApiError, match="the object has been modified") as caught:
        cluster.resources.update(POLICIES, "shop", "np", old)
    assert caught.value.code == 409


def test_a_pods_image_may_change_and_its_ports_may_not(cluster: Any) -> None:
    cluster.apply(pod("{containers: [{name: main, image: nginx}]}"))
    changed = cluster.apply(pod("{containers: [{name: main, image: 'nginx:2'}]}"))
    assert changed["spec"]["containers"][0]["image"] == "nginx:2"
    assert "pod updates may not change fields other than" in refusal(
        cluster, pod("{containers: [{name: main, image: nginx, command: [x]}]}")
    )


def test_dry_run_writes_nothing(cluster: Any) -> None:
    before = cluster.store.version
    made = cluster.resources.create(PODS, "shop", pod(), Options(dry_run=True)).object
    assert made["metadata"]["uid"]
    assert "resourceVersion" not in made["metadata"]
    assert cluster.store.version == before


def test_warn_and_ignore_let_unknown_fields_go(cluster: Any) -> None:
    body = {**policy("{podSelector: {}}"), "extra": 1}
    warned = cluster.resources.create(POLICIES, "shop", body, Options(dry_run=True, validation="Warn"))
    ignored = cluster.resources.create(POLICIES, "shop", body, Options(dry_run=True, validation="Ignore"))
    assert (warned.warnings, ignored.warnings) == (('unknown field "extra"',), ())
    assert "extra" not in warned.object


def test_generated_names_have_no_vowels(cluster: Any) -> None:
    body = {"metadata": {"generateName": "gen-"}}
    name = cluster.resources.create(CONFIG_MAPS, "shop", body).object["metadata"]["name"]
    assert name.startswith("gen-")
    assert len(name) == 9
    assert set(name[4:]) <= set("bcdfghjklmnpqrstvwxz2456789")


def test_a_finalizer_holds_an_object_until_it_is_taken_away(cluster: Any) -> None:
    body = {"metadata": {"name": "held", "finalizers": ["example.com/wait"]}}
    cluster.resources.create(CONFIG_MAPS, "shop", body)
    deletion.delete(cluster.resources, CONFIG_MAPS, "shop", "held")
    held = cluster.store.get("configmaps", "shop", "held")
    assert held["metadata"]["deletionTimestamp"]
    metadata = {key: value for key, value in held["metadata"].items() if key != "finalizers"}
    cluster.resources.update(CONFIG_MAPS, "shop", "held", {**held, "metadata": metadata})
    assert cluster.store.get("configmaps", "shop", "held") is None


@pytest.mark.parametrize("name", ["default", "kube-system"])
def test_system_namespaces_stay(cluster: Any, name: str) -> None:
    with pytest.raises(ApiError, match="this namespace may not be deleted"):
        deletion.delete(cluster.resources, kinds.BY_RESOURCE["namespaces"], "", name)


def test_nesting_has_an_end(cluster: Any) -> None:
    deep: dict[str, Any] = {}
    for _ in range(500):
        deep = {"podSelector": deep}
    body = {**policy("{}"), "spec": deep}
    assert refusal(cluster, body)
