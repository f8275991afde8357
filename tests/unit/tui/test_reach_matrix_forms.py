"""The forms of `netdojo reach matrix`: classes as JSON, tables as CSV and Markdown, cells, and the text of many."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from content.yamlio import read_manifests
from grader.kube.parse import read_objects
from grader.reachability.verdict import Action, Flow
from grader.reachability.world import World
from tui.cli import run
from tui.output import reach as forms
from tui.output.terminal import NARROWEST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., str]

HOSTS = """
apiVersion: v1
kind: Node
metadata: {name: n1}
status: {addresses: [{type: InternalIP, address: 172.18.0.2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: shop, labels: {app: agent}}
spec: {nodeName: n1, hostNetwork: true}
status: {podIP: 172.18.0.2, hostIP: 172.18.0.2}
---
"""
POLICIES = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: api, namespace: shop}
spec:
  podSelector: {matchLabels: {app: api}}
  ingress:
  - from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [web, agent]}]}}]
    ports: [{port: http}, {port: 9000, endPort: 9010}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress:
  - to: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.128/25]}}]
  - to: [{podSelector: {}}]
    ports: [{port: 8080}]
"""


def pod(workload: str, number: int, address: str) -> str:
    return f"""\
apiVersion: v1
kind: Pod
metadata:
  name: {workload}-{number}
  namespace: shop
  labels: {{app: {workload}}}
  ownerReferences: [{{kind: StatefulSet, name: {workload}}}]
spec: {{nodeName: n1, containers: [{{name: c, ports: [{{containerPort: 8080, name: http}}]}}]}}
status: {{podIP: {address}, hostIP: 172.18.0.2}}
---
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    text = HOSTS + "".join(
        pod(name, number, f"10.0.{place}.{number + 1}")
        for place, name in enumerate(["web", "api"])
        for number in (0, 1)
    )
    path = tmp_path / "shop.yaml"
    path.write_text(text + POLICIES)
    return path


@pytest.fixture
def call(file: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    def call(*arguments: str) -> str:
        assert run(["reach", "matrix", str(file), *arguments]) == 0
        return capsys.readouterr().out

    return call


PORTS = ((1, "TCP"), (8080, "TCP"), (8080, "UDP"), (9000, "TCP"), (9011, "TCP"), (65535, "SCTP"))


def expanded(document: Any, source: str, destination: str, port: int, protocol: str) -> tuple[bool, bool]:
    """What a reader of the JSON makes of it, by its description alone: allowed, left open."""
    place = {ref: i for i, c in enumerate(document["classes"]) for refs in c["members"].values() for ref in refs}
    if source == destination:
        return True, False

    def meant(row: dict[str, int], sources: str) -> bool:
        ports = document["ports"][row["ports"]]
        inside = any(p["protocol"] == protocol and p["from"] <= port <= p["to"] for p in ports)
        return inside and place[source] in document["sources"][row[sources]]

    entry = next((each for each in document["reach"] if place[destination] in each["to"]), {})
    opened = any(meant(row, "open") for row in entry.get("left_open", ()))
    closed = any(meant(row, "closed") for row in entry.get("left_open", ()))
    allowed = opened or any(meant(row, "sources") for row in entry.get("open", ()))
    home = next((refs for node, refs in document["always"].items() if destination in refs), ())
    if source == "node:n1" or (source == "shop/agent" and source in home):
        return True, opened
    return allowed, opened or closed


def test_json_holds_every_cell(call: Call, file: Path) -> None:
    document = json.loads(call("-o", "json"))
    world = World(read_objects(item for item, _ in read_manifests(file)))
    names = [
        ref for c in document["classes"] if c["kind"] != "outside" for refs in c["members"].values() for ref in refs
    ]
    assert sorted(names) == sorted(
        ["node:n1", "shop/agent", *(f"shop/{n}-{i}" for n in ("web", "api") for i in (0, 1))]
    )
    for source in names:
        for destination in names:
            for port, protocol in (
                (1, "TCP"),
                (8080, "TCP"),
                (8080, "UDP"),
                (9000, "TCP"),
                (9011, "TCP"),
                (65535, "SCTP"),
            ):
                verdict = world.verdict(Flow(source, destination, port, protocol))
                allowed, left_open = expanded(document, source, destination, port, protocol)
                assert allowed is verdict.allowed, (source, destination, port)
                if source != "shop/agent":
                    assert left_open is (verdict.action is Action.OPEN), (source, destination, port)
    outside = [refs for c in document["classes"] if c["kind"] == "outside" for refs in c["members"].values()]
    assert ["192.0.2.0/25"] in outside


def test_workloads_share_a_class(call: Call) -> None:
    document = json.loads(call("-o", "json"))
    members = [each["members"] for each in document["classes"] if each["kind"] == "pod"]
    assert {"shop/api": ["shop/api-0", "shop/api-1"]} in members
    assert all(sources == sorted(sources) for sources in document["sources"])


def test_tables(call: Call) -> None:
    rows = list(csv.reader(io.StringIO(call("-o", "csv"))))
    table = {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[1:]}
    assert table["shop/web"] == {"shop/api:8080": "open", "shop/web:8080": "open"}
    assert table["shop/api"] == {"shop/api:8080": "closed", "shop/web:8080": "open"}
    assert table["shop/agent"]["shop/web:8080"] == "open"
    markdown = [line.strip("| ").split(" | ") for line in call("-o", "markdown").splitlines()]
    assert [markdown[0], *markdown[2:]] == rows


def test_cells(call: Call, file: Path) -> None:
    world = World(read_objects(item for item, _ in read_manifests(file)))
    matrix = world.matrix()
    cells = json.loads(call("-o", "json", "--expand"))["cells"]
    assert len(cells) == len(matrix.sources) * len(matrix.columns) == 5 * 4
    for cell in cells:
        verdict = world.verdict(Flow(cell["from"], cell["to"], cell["port"], cell["protocol"]))
        assert (cell["allowed"], cell["left_open"]) == (verdict.allowed, verdict.action is Action.OPEN)
    head, *lines = csv.reader(io.StringIO(call("-o", "csv", "--expand")))
    assert head == ["from", "to", "protocol", "port", "verdict", "left open"]
    assert [line[4] == "open" for line in lines] == [cell["allowed"] for cell in cells]
    one = json.loads(call("-o", "json", "--expand", "--from", "web", "--to", "api:9005"))["cells"]
    assert [(cell["from"], cell["to"], cell["allowed"]) for cell in one] == [
        ("shop/web-0", "shop/api-0", False),
        ("shop/web-1", "shop/api-0", False),
        ("shop/web-0", "shop/api-1", False),
        ("shop/web-1", "shop/api-1", False),
    ]


def test_text_of_many_workloads(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", str(NARROWEST))
    names = ["web", *(f"api{number:02d}" for number in range(30))]
    text = "".join(pod(name, 0, f"10.1.{place}.1") for place, name in enumerate(names))
    file = tmp_path / "many.yaml"
    file.write_text(text + POLICIES.replace("{matchLabels: {app: api}}", "{matchLabels: {app: api07}}"))
    assert run(["reach", "matrix", str(file)]) == 0
    out = capsys.readouterr().out
    assert "shop/api00 +28" in out
    assert "Treated alike:" in out
    assert out.count("shop/api13") == 1
    assert all(len(line) <= NARROWEST for line in out.splitlines())


def test_a_list_where_tables_would_be_too_many(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setattr(forms, "MOST_TABLES", 0)
    world = World(read_objects(item for item, _ in read_manifests(file)))
    owners = {pod.ref: f"{pod.namespace}/{pod.owner}" for pod in world.objects.pods}
    lines = forms.matrix_text(forms.fold(world.matrix(), owners), 80).splitlines()
    at = lines.index("shop/api")
    assert lines[at + 1].split()[:1] == ["8080"]
    assert "shop/web" in lines[at + 1]
    assert "everything" in lines[lines.index("shop/web") + 1]
