"""Manifests to objects: what is refused and in which words, what is implied, and who owns which pod."""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from content.errors import BrokenContentError
from grader.kube.model import ContainerPort, Objects, Origin
from grader.kube.parse import read_objects
from grader.kube.pods import MAX_STAND_INS
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable

NP = "apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: np, namespace: shop}"


def read(*texts: str) -> Objects:
    return read_objects(document for text in texts for document in yaml.load_all(text, yaml.CSafeLoader))


def causes(text: str) -> list[str]:
    with pytest.raises(BrokenContentError) as caught:
        read(text)
    return [defect.cause for defect in caught.value.defects]


def rule(fields: str) -> str:
    return f"{{{NP}, spec: {{podSelector: {{}}, ingress: [{{{fields}}}]}}}}"


BAD_VALUE = "must start and end with an alphanumeric character"


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ("from: [{}]", "from[0]: Required value: must specify a peer"),
        (
            "from: [{ipBlock: {cidr: 10.0.0.0}}]",
            'from[0].ipBlock.cidr: Invalid value: "10.0.0.0": must be a valid CIDR',
        ),
        ("from: [{ipBlock: {cidr: 10.0.0.0/255.0.0.0}}]", "from[0].ipBlock.cidr: Invalid value"),
        ("from: [{ipBlock: {cidr: 10.0.0.0/33}}]", "from[0].ipBlock.cidr: Invalid value"),
        ("from: [{ipBlock: {cidr: 7}}]", "from[0].ipBlock.cidr: Invalid value: 7"),
        ("from: [{ipBlock: {}}]", "from[0].ipBlock.cidr: Required value"),
        (
            "from: [{ipBlock: {cidr: 192.168.0.0/24, except: [192.168.1.0/28]}}]",
            'except[0]: Invalid value: "192.168.1.0/28": must be a strict subset of `cidr`',
        ),
        ("from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]", "must be a strict subset of `cidr`"),
        (
            "from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]",
            "Forbidden: may not specify both ipBlock and another",
        ),
        ("from: {podSelector: {}}", 'from: Invalid value: {"podSelector": {}}: must be a list'),
        ("to: []", 'unknown field "spec.ingress[0].to"'),
        ("from: [{podSelector: {app: web}}]", 'unknown field "spec.ingress[0].from[0].podSelector.app"'),
        ("from: [{podSelector: {matchLabels: {a: b c}}}]", BAD_VALUE),
        ("from: [{podSelector: {matchLabels: {a: yes}}}]", "matchLabels.a: Invalid value: true: must be a string"),
        ("from: [{podSelector: {matchLabels: {-a: b}}}]", "name part must consist of alphanumeric characters"),
        (
            "from: [{podSelector: {matchExpressions: [{key: a, operator: NotIn}]}}]",
            "matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        ),
        (
            "from: [{podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}]",
            "values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        ),
        (
            "from: [{podSelector: {matchExpressions: [{operator: Exists}]}}]",
            'key: Invalid value: "": name part must be',
        ),
        ("from: [{podSelector: {matchExpressions: [{key: a, operator: Is}]}}]", 'operator: Unsupported value: "Is"'),
        ("ports: [{port: 0}]", "ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"),
        ("ports: [{port: true}]", "ports[0].port: Invalid value: true: must be between 1 and 65535, inclusive"),
        ("ports: [{port: '80'}]", 'ports[0].port: Invalid value: "80": must contain at least one letter (a-z)'),
        ("ports: [{port: a_b}]", "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"),
        ("ports: [{port: a-name-that-is-too-long}]", "must be no more than 15 characters"),
        ("ports: [{protocol: ICMP}]", 'protocol: Unsupported value: "ICMP": supported values: "TCP", "UDP", "SCTP"'),
        ("ports: [{port: 90, endPort: 80}]", "endPort: Invalid value: 80: must be greater than or equal to `port`"),
        ("ports: [{endPort: 80}]", "endPort: Invalid value: 80: may not be specified when `port` is not specified"),
        ("ports: [{port: http, endPort: 80}]", "may not be specified when `port` is non-numeric"),
        ("ports: [{port: 80, endPort: 70000}]", "endPort: Invalid value: 70000: must be between 1 and 65535"),
    ],
)
def test_the_api_would_refuse_this_rule(fields: str, cause: str) -> None:
    found = causes(rule(fields))
    assert any(cause in text for text in found), found
    assert all(text.startswith("NetworkPolicy np: ") and "spec.ingress[0]" in text for text in found)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (f"{{{NP}, spec: {{policyTypes: [ingress]}}}}", 'spec.policyTypes[0]: Unsupported value: "ingress"'),
        (f"{{{NP}, spec: {{policyTypes: [Ingress, Egress, Ingress]}}}}", "may not specify more than two policyTypes"),
        (f"{{{NP}, spec: {{podselector: {{}}}}}}", 'unknown field "spec.podselector"'),
        (f"{{{NP}, spec: [1]}}", "spec: Invalid value: [1]: must be a mapping"),
        ("{kind: Pod, metadata: {name: a}}", "Pod: apiVersion: Required value"),
        ("{apiVersion: v1, metadata: {name: a}}", "object: kind: Required value"),
        ("{apiVersion: v1, kind: Pod}", "Pod: metadata.name: Required value"),
        ("{apiVersion: v1, kind: Pod, metadata: {name: A}}", 'metadata.name: Invalid value: "A"'),
        ("{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: '../x'}}", "metadata.namespace: Invalid value"),
        ("{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {podIP: 1.2}}", "Pod a: "),
        ("{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 0}]}}", "spec.ports[0].port: "),
        ("{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: X}}", 'spec.type: Unsupported value: "X"'),
        ("{apiVersion: extensions/v1beta1, kind: NetworkPolicy, metadata: {name: a}}", "no matches for kind"),
        ("[1]", "object: [1] is no Kubernetes object: it must be a mapping of fields"),
        ("{apiVersion: v1, kind: List, items: [3]}", "object: 3 is no Kubernetes object"),
    ],
)
def test_the_api_would_refuse_this_object(text: str, cause: str) -> None:
    assert any(cause in found for found in causes(text)), causes(text)


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.just([]), st.just({}), st.just([[{}]])
)
WHOLE = """
- {apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {x: y}}}
- {apiVersion: v1, kind: Node, metadata: {name: n}, status: {addresses: [{type: InternalIP, address: 172.18.0.2}]}}
- apiVersion: v1
  kind: Pod
  metadata: {name: p, namespace: a, labels: {x: y}, ownerReferences: [{kind: Job, name: j, controller: true}]}
  spec: {nodeName: n, hostNetwork: true, containers: [{ports: [{containerPort: 80, protocol: TCP, name: http}]}]}
  status: {phase: Running, hostIP: 172.18.0.2, podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}]}
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: d, namespace: a}
  spec: {replicas: 2, template: {metadata: {labels: {x: y}}, spec: {containers: []}}}
- apiVersion: v1
  kind: List
  items:
  - apiVersion: v1
    kind: Service
    metadata: {name: s}
    spec: {type: NodePort, clusterIPs: [10.96.0.1], selector: {x: y}, ports: [{port: 80, targetPort: 80, nodePort: 3}]}
  - apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: np}
    spec:
      podSelector: {matchLabels: {x: y}, matchExpressions: [{key: x, operator: In, values: [y]}]}
      policyTypes: [Ingress]
      ingress:
      - from: [{namespaceSelector: {}, podSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]
        ports: [{protocol: TCP, port: 80, endPort: 90}]
"""


READ = yaml.load(WHOLE, yaml.CSafeLoader)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a document with each of its keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in items for place in [(value, key), *places(inner)]]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10_000), JUNK), min_size=1, max_size=3))
def test_junk_anywhere_is_a_defect_and_never_a_crash(changes: list[tuple[int, Any]]) -> None:
    document = copy.deepcopy(READ)
    for number, junk in changes:
        found = places(document)
        container, key = found[number % len(found)]
        container[key] = copy.deepcopy(junk)
    with contextlib.suppress(BrokenContentError):
        World(read_objects(document)).matrix()


def test_every_defect_is_told_with_file_and_line() -> None:
    bad = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "A"}}
    with pytest.raises(BrokenContentError) as caught:
        read_objects([bad, bad], origins=[Origin("a.yaml", 3)])
    assert [(str(each.file), each.line) for each in caught.value.defects] == [("a.yaml", 3), ("objects", 0)]


@pytest.mark.parametrize(
    ("spec", "isolates"),
    [
        ("{}", (True, False)),
        ("{policyTypes: []}", (True, False)),
        ("{egress: []}", (True, False)),
        ("{egress: [{}]}", (True, True)),
        ("{egress: [{}], policyTypes: [Ingress]}", (True, False)),
        ("{ingress: [{}], policyTypes: [Egress]}", (False, True)),
    ],
)
def test_policy_types_are_worked_out(spec: str, isolates: tuple[bool, bool]) -> None:
    (policy,) = read(f"{{{NP}, spec: {spec}}}").policies
    assert (policy.isolates_ingress, policy.isolates_egress) == isolates


def test_null_selectors_are_empty_ones() -> None:
    (policy,) = read(f"{{{NP}, spec: {{podSelector: , ingress: [{{from: [{{podSelector: }}]}}]}}}}").policies
    assert policy.selector.requirements == ()
    assert policy.ingress[0].peers[0].pods == policy.selector


def test_namespaces_are_implied_and_labelled() -> None:
    objects = read(
        "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: b}}",
        "{apiVersion: v1, kind: Pod, metadata: {name: a}}",
    )
    assert [(each.name, each.labels) for each in objects.namespaces] == [
        ("b", {"kubernetes.io/metadata.name": "b"}),
        ("default", {"kubernetes.io/metadata.name": "default"}),
    ]


def test_a_false_name_label_is_put_right() -> None:
    text = "{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {kubernetes.io/metadata.name: b}}}"
    assert read(text).namespaces[0].labels == {"kubernetes.io/metadata.name": "a"}


def test_lists_are_taken_apart_and_unknown_kinds_are_counted() -> None:
    objects = read(
        "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod, metadata: {name: a}}]}",
        "{apiVersion: v1, kind: PodList, items: [{metadata: {name: b}}]}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}",
        "{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: c}}",
    )
    assert [pod.name for pod in objects.pods] == ["a", "b"]
    assert objects.passed_over == {"ConfigMap": 1, "CiliumNetworkPolicy.cilium.io": 1}


def test_the_later_of_two_objects_counts() -> None:
    first, second = (f"{{apiVersion: v1, kind: Pod, metadata: {{name: a, labels: {{n: '{n}'}}}}}}" for n in (1, 2))
    assert [pod.labels for pod in read(first, second).pods] == [{"n": "2"}]


def test_a_pod_as_a_cluster_shows_it() -> None:
    (pod,) = read(
        """
        apiVersion: v1
        kind: Pod
        metadata: {name: a, namespace: b, labels: {x: "1"}, deletionTimestamp: "2026-01-01T00:00:00Z"}
        spec:
          nodeName: n1
          serviceAccountName: robot
          initContainers: [{name: i, ports: [{containerPort: 1}]}]
          containers: [{name: c, ports: [{containerPort: 53, protocol: UDP, name: dns}]}]
        status: {phase: Running, hostIP: 172.18.0.2, podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}]}
        """
    ).pods
    assert pod.ports == (ContainerPort(1), ContainerPort(53, "UDP", "dns"))
    assert [str(address) for address in pod.addresses] == ["10.0.0.1", "fd00::1"]
    assert (pod.node, str(pod.host_address), pod.service_account, pod.finished) == ("n1", "172.18.0.2", "robot", False)
    assert (pod.ref, pod.owner) == ("b/a", "a")


OWNED = [
    ("ReplicaSet", "web-5d9f", "{pod-template-hash: 5d9f}", "web"),
    ("ReplicaSet", "web-5d9f", "{}", "web-5d9f"),
    ("StatefulSet", "db", "{}", "db"),
    ("DaemonSet", "agent", "{}", "agent"),
    ("Job", "report-29001234", "{}", "report"),
    ("Job", "once", "{}", "once"),
    ("Node", "n1", "{}", "p"),
]


@pytest.mark.parametrize(("kind", "name", "labels", "owner"), OWNED)
def test_a_pod_belongs_to_the_workload_that_people_know(kind: str, name: str, labels: str, owner: str) -> None:
    reference = f"{{kind: {kind}, name: {name}, controller: true}}"
    metadata = f"{{name: p, labels: {labels}, ownerReferences: [{{kind: X, name: y}}, {reference}]}}"
    assert read(f"{{apiVersion: v1, kind: Pod, metadata: {metadata}}}").pods[0].owner == owner


def workload(kind: str, more: str = "", metadata: str = "") -> str:
    group = "batch/v1" if kind in {"Job", "CronJob"} else "apps/v1"
    template = "template: {metadata: {labels: {app: w}}, spec: {containers: [{name: c, ports: [{containerPort: 80}]}]}}"
    spec = f"jobTemplate: {{spec: {{{template}}}}}" if kind == "CronJob" else f"{template}{more}"
    return f"{{apiVersion: {group}, kind: {kind}, metadata: {{name: w, namespace: a{metadata}}}, spec: {{{spec}}}}}"


NODES = "{apiVersion: v1, kind: Node, metadata: {name: n1}}\n---\n{apiVersion: v1, kind: Node, metadata: {name: n2}}"


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        ([workload("Deployment")], ["w"]),
        ([workload("Deployment", ", replicas: 2")], ["w-1", "w-2"]),
        ([workload("Deployment", ", replicas: 0")], []),
        ([workload("Deployment", ", replicas: 2000000000")], [f"w-{n}" for n in range(1, MAX_STAND_INS + 1)]),
        ([workload("StatefulSet", ", replicas: 2")], ["w-0", "w-1"]),
        ([workload("DaemonSet")], ["w"]),
        ([workload("DaemonSet"), NODES], ["w-n1", "w-n2"]),
        ([workload("Job")], ["w"]),
        ([workload("CronJob")], ["w"]),
        (
            [
                workload("ReplicaSet", metadata=", ownerReferences: [{kind: Deployment, name: w}]"),
                workload("Deployment"),
            ],
            ["w"],
        ),
        ([workload("Deployment"), "{apiVersion: v1, kind: Pod, metadata: {name: w, namespace: a}}"], ["w", "w-1"]),
    ],
)
def test_a_workload_without_pods_gets_stand_ins(texts: Iterable[str], names: list[str]) -> None:
    pods = read(*texts).pods
    assert sorted(pod.name for pod in pods) == sorted(names)
    assert all(pod.owner == "w" for pod in pods)


def owned_pod(hash_label: str = "5d9f") -> str:
    metadata = f"name: w-x, namespace: a, labels: {{pod-template-hash: {hash_label}}}"
    owners = "ownerReferences: [{kind: ReplicaSet, name: w-5d9f}]"
    return f"{{apiVersion: v1, kind: Pod, metadata: {{{metadata}, {owners}}}}}"


def test_pods_that_are_there_stand_for_themselves() -> None:
    assert [pod.name for pod in read(workload("Deployment"), owned_pod()).pods] == ["w-x"]


def test_in_a_cluster_pods_are_facts() -> None:
    """A Deployment that runs nothing yet has no traffic; one alone, exported from a cluster, still stands in."""
    live = workload("Deployment", metadata=", uid: 1-2")
    other = "{apiVersion: v1, kind: Pod, metadata: {name: other, namespace: a}}"
    assert [pod.name for pod in read(live, other).pods] == ["other"]
    assert [pod.name for pod in read(live).pods] == ["w"]


def test_services() -> None:
    objects: Any = read(
        """
        apiVersion: v1
        kind: Service
        metadata: {name: a}
        spec:
          clusterIP: 10.96.0.1
          clusterIPs: [10.96.0.1, "fd00::1"]
          selector: {app: w}
          ports: [{port: 80, targetPort: http, nodePort: 30080, name: x}, {port: 53, protocol: UDP, name: y}]
        """,
        "{apiVersion: v1, kind: Service, metadata: {name: b}, spec: {clusterIP: None, selector: {}}}",
    ).services
    first, second = objects
    assert [str(address) for address in first.addresses] == ["10.96.0.1", "fd00::1"]
    assert [(p.port, p.target, p.protocol, p.node_port) for p in first.ports] == [
        (80, "http", "TCP", 30080),
        (53, 53, "UDP", 0),
    ]
    assert (second.headless, second.selector, second.addresses) == (True, None, ())
