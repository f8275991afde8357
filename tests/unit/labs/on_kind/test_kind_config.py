"""Topologies and settings to kind's file, to the pool's key, and to Calico's objects."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from content.errors import BrokenContentError, UsageError
from content.model import Topology
from content.yamlio import read_manifests
from labs.kind import config, loading, settings
from labs.kind.calico import manifests, operator, sources
from labs.kind.settings import KindSettings

if TYPE_CHECKING:
    from pathlib import Path

CHOSEN = KindSettings(node_image="node:1@sha256:aa", patches="kind: KubeletConfiguration\nfailCgroupV1: false\n")


def plan(nodes: int = 1, families: tuple[str, ...] = ("ipv4",), **more: Any) -> config.Plan:
    made = config.plan_of(Topology(nodes=nodes, families=families), CHOSEN, "operator v3.33.1")  # type: ignore[arg-type]
    return replace(made, **more)


@pytest.mark.parametrize(
    ("families", "family", "pods", "services"),
    [
        (("ipv4",), "ipv4", "10.244.0.0/16", "10.96.0.0/16"),
        (("ipv6",), "ipv6", "fd00:10:244::/56", "fd00:10:96::/112"),
        (("ipv4", "ipv6"), "dual", "10.244.0.0/16,fd00:10:244::/56", "10.96.0.0/16,fd00:10:96::/112"),
    ],
)
def test_families_and_ranges(families: tuple[str, ...], family: str, pods: str, services: str) -> None:
    network = yaml.safe_load(config.document(plan(families=families), "netdojo-1-1"))["networking"]
    assert network == {
        "disableDefaultCNI": True,
        "ipFamily": family,
        "podSubnet": pods,
        "serviceSubnet": services,
        "kubeProxyMode": "iptables",
    }


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_nodes_run_the_image_that_was_chosen_and_all_of_them_take_pods(nodes: int) -> None:
    made = yaml.safe_load(config.document(plan(nodes), "netdojo-1-1"))
    assert [node["role"] for node in made["nodes"]] == ["control-plane", *["worker"] * (nodes - 1)]
    assert {node["image"] for node in made["nodes"]} == {"node:1@sha256:aa"}
    patches = [yaml.safe_load(patch) for patch in made["kubeadmConfigPatches"]]
    untainted = {"kind": "InitConfiguration", "nodeRegistration": {"taints": []}}
    assert (untainted in patches) is (nodes > 1)  # kind removes a single node's taint itself, and fails without one
    assert {"kind": "KubeletConfiguration", "failCgroupV1": False} in patches


def test_ports_and_ebpf() -> None:
    made = yaml.safe_load(config.document(plan(ports=((8080, 30080, "TCP"),), dataplane=config.EBPF), "n"))
    assert made["nodes"][0]["extraPortMappings"] == [
        {"containerPort": 30080, "hostPort": 8080, "protocol": "TCP", "listenAddress": "127.0.0.1"}
    ]
    assert "maxPerCore: 0" in str(made["kubeadmConfigPatches"])


def test_a_topology_says_dataplane_ranges_and_ports() -> None:
    asked = Topology.model_validate(
        {
            "families": ["ipv4"],
            "dataplane": "nftables",
            "kube_proxy": "nftables",
            "pod_ranges": ["10.10.0.0/16"],
            "service_ranges": ["10.20.0.0/16"],
            "ports": [{"host": 8080, "node": 30080}],
        }
    )
    made = config.plan_of(asked, CHOSEN, "operator v3.33.1")
    assert (made.dataplane, made.kube_proxy) == ("nftables", "nftables")
    assert (made.pods, made.services) == (("10.10.0.0/16",), ("10.20.0.0/16",))
    assert made.ports == ((8080, 30080, "TCP"),)
    assert asked.kind_only == ("dataplane", "kube_proxy", "pod_ranges", "service_ranges", "ports")
    assert Topology().kind_only == ()


def test_the_key_is_that_of_the_plan_and_the_home() -> None:
    assert config.key(plan(), "a") == config.key(plan(), "a")
    others = [
        plan(2),
        plan(families=("ipv6",)),
        plan(node_image="node:2"),
        plan(calico="manifests 1"),
        plan(patches=()),
        plan(ports=((1, 2, "TCP"),)),
        plan(dataplane="ebpf"),
    ]
    assert len({config.key(each, "a") for each in [plan(), *others]} | {config.key(plan(), "b")}) == len(others) + 2


def test_settings_are_the_files_and_variables_win(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[kind]\nnode_image = "node:7"\nbinary = "/opt/kind"\n', encoding="utf-8")
    found = settings.load({"NETDOJO_KIND_NODE_IMAGE": "node:8"}, file)
    assert (found.node_image, found.binary, found.calico) == ("node:8", "/opt/kind", "operator")
    assert settings.load({}, tmp_path / "none.toml") == KindSettings()
    file.write_text("[kind]\nnode_imge = 'x'\n", encoding="utf-8")
    with pytest.raises(BrokenContentError, match=r"kind\.node_imge is no setting.*there are: binary"):
        settings.load({}, file)
    file.write_text("[kind", encoding="utf-8")
    with pytest.raises(BrokenContentError, match="cannot be read"):
        settings.load({}, file)


def test_patches_are_a_file_or_text(tmp_path: Path) -> None:
    text = "kind: A\n---\nkind: B\n"
    (tmp_path / "patches.yaml").write_text(text, encoding="utf-8")
    assert KindSettings(patches=text).patch_documents() == ("kind: A\n", "kind: B\n")
    assert KindSettings(patches=str(tmp_path / "patches.yaml")).patch_documents() == ("kind: A\n", "kind: B\n")
    with pytest.raises(UsageError, match=r"kind\.patches.*cannot be read"):
        KindSettings(patches=str(tmp_path / "none.yaml")).patch_documents()


def test_calico_from_a_folder_is_its_files_by_name_and_known_by_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "20-b.yaml").write_text("kind: B\n", encoding="utf-8")
    (tmp_path / "10-a.yaml").write_text("kind: A\n", encoding="utf-8")
    (tmp_path / "README").write_text("no", encoding="utf-8")
    found = sources.of(KindSettings(calico=str(tmp_path)))
    assert [source.place.rpartition("/")[2] for source in found.sources] == ["10-a.yaml", "20-b.yaml"]
    before = found.identity()
    assert sources.of(KindSettings(calico=str(tmp_path))).identity() == before
    (tmp_path / "10-a.yaml").write_text("kind: C\n", encoding="utf-8")
    assert found.identity() != before
    with pytest.raises(UsageError, match="has no manifests"):
        sources.of(KindSettings(calico=str(tmp_path / "none")))


MANIFEST = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: calico-config, namespace: kube-system}
data: {cni_network_config: '{"plugins": [{"type": "calico", "mtu": __CNI_MTU__, "ipam": {"type": "calico-ipam"}}]}'}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: calico-node, namespace: kube-system}
spec:
  template:
    spec:
      initContainers: [{name: install-cni, image: "calico/cni:v3.28.5"}]
      containers:
      - name: calico-node
        image: calico/node:v3.28.5
        env: [{name: IP, value: autodetect}, {name: CALICO_IPV4POOL_CIDR, value: 192.168.0.0/16}]
"""
OBJECTS = tuple(item for item, _ in read_manifests(MANIFEST))


@pytest.mark.parametrize(
    ("families", "dataplane", "expected", "assigned"),
    [
        (("ipv4",), "iptables", {"IP": "autodetect", "CALICO_IPV4POOL_CIDR": "10.244.0.0/16"}, ("true", "false")),
        (
            ("ipv4", "ipv6"),
            "iptables",
            {"IP": "autodetect", "IP6": "autodetect", "FELIX_IPV6SUPPORT": "true"},
            ("true", "true"),
        ),
        (("ipv6",), "nftables", {"IP": "none", "CALICO_ROUTER_ID": "hash", "FELIX_NFTABLESMODE": "Enabled"}, None),
    ],
)
def test_calicos_manifests_fit_the_plan(
    families: tuple[str, ...], dataplane: str, expected: dict[str, str], assigned: tuple[str, str] | None
) -> None:
    before = json.dumps(OBJECTS)
    cni, agent = manifests.adjust(OBJECTS, plan(families=families, dataplane=dataplane))
    environment = {v["name"]: v["value"] for v in agent["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert expected.items() <= environment.items()
    (plugin,) = json.loads(cni["data"]["cni_network_config"].replace("__CNI_MTU__", "0"))["plugins"]
    assert "__CNI_MTU__," in cni["data"]["cni_network_config"]
    wanted = assigned or ("false", "true")
    assert (plugin["ipam"]["assign_ipv4"], plugin["ipam"]["assign_ipv6"]) == wanted
    assert json.dumps(OBJECTS) == before
    assert manifests.images(OBJECTS) == ("calico/cni:v3.28.5", "calico/node:v3.28.5")


@pytest.mark.parametrize(
    ("asked", "start", "then"),
    [
        (
            {"httpGet": {}, "periodSeconds": 60, "initialDelaySeconds": 5, "successThreshold": 2},
            None,
            {"httpGet": {}, "periodSeconds": 1, "successThreshold": 2},
        ),
        (
            {"exec": {}, "timeoutSeconds": 10, "failureThreshold": 2, "initialDelaySeconds": 5, "successThreshold": 2},
            {"exec": {}, "timeoutSeconds": 10, "periodSeconds": 2, "failureThreshold": 300},
            {"exec": {}, "timeoutSeconds": 10, "failureThreshold": 2, "initialDelaySeconds": 5, "successThreshold": 2},
        ),
        (None, None, None),
    ],
)
def test_calicos_pods_are_asked_soon_whether_they_are_ready_and_programs_seldom_then(
    asked: dict[str, Any] | None, start: dict[str, Any] | None, then: dict[str, Any] | None
) -> None:
    container = {"name": "a", "image": "a"} | ({"readinessProbe": asked} if asked else {})
    template = {"spec": {"containers": [container]}}
    item = {"kind": "Deployment", "metadata": {"name": "d"}, "spec": {"template": template}}
    before = json.dumps(item)
    (made,) = manifests.adjust([item], plan())
    (found,) = made["spec"]["template"]["spec"]["containers"]
    assert (found.get("startupProbe"), found.get("readinessProbe")) == (start, then)
    assert json.dumps(item) == before


def test_a_start_that_calico_asks_for_itself_stays() -> None:
    own = {"exec": {}, "periodSeconds": 7}
    container = {"name": "a", "image": "a", "readinessProbe": {"exec": {}}, "startupProbe": own}
    item = {
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    assert manifests.adjust([item], plan()) == (item,)


@pytest.mark.parametrize(
    ("dataplane", "release", "said"),
    [
        ("iptables", "v3.28.5", ""),
        ("nftables", "v3.28.5", "Calico 3.28.5 has no nftables dataplane"),
        ("nftables", "v3.33.1", ""),
        ("ebpf", "v3.33.1", "does not begin with eBPF"),
    ],
)
def test_what_the_files_lack_is_known_before_anything_is_made(dataplane: str, release: str, said: str) -> None:
    objects = [item for item, _ in read_manifests(MANIFEST.replace("v3.28.5", release))]
    found = manifests.lacking(objects, plan(dataplane=dataplane))
    assert (said in found) if said else not found


@pytest.mark.parametrize(("dataplane", "word"), [("iptables", "Iptables"), ("nftables", "Nftables"), ("ebpf", "BPF")])
def test_the_operator_is_asked_for_the_plan(dataplane: str, word: str) -> None:
    installation, server = operator.custom_resources(plan(families=("ipv4", "ipv6"), dataplane=dataplane))
    network = installation["spec"]["calicoNetwork"]
    assert network["linuxDataplane"] == word
    assert [pool["cidr"] for pool in network["ipPools"]] == ["10.244.0.0/16", "fd00:10:244::/56"]
    assert [pool["blockSize"] for pool in network["ipPools"]] == [26, 122]
    assert (network.get("kubeProxyManagement") == "Enabled") is (dataplane == "ebpf")
    assert server["kind"] == "APIServer"


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ([("Available", "True", "")], ""),
        ([("Available", "False", ""), ("Degraded", "True", "no image")], "calico: no image"),
        ([("Progressing", "True", "1 of 2 nodes")], "calico: 1 of 2 nodes"),
        ([], "calico has not begun"),
    ],
)
def test_what_the_operator_says_of_itself(conditions: list[tuple[str, str, str]], said: str) -> None:
    listed = [{"type": kind, "status": status, "message": message} for kind, status, message in conditions]
    assert operator.unavailable({"metadata": {"name": "calico"}, "status": {"conditions": listed}}) == said


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("calico/node:v3.28.5", "docker.io/calico/node:v3.28.5"),
        ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        ("kindest/node@sha256:ab", "docker.io/kindest/node@sha256:ab"),
    ],
)
def test_full_names_of_images(given: str, full: str) -> None:
    assert loading.full(given) == full
