"""What `netdojo reach` reads: broken manifests on request, a live cluster by kubectl; and the forms of its graphs."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from tui.cli import run

if TYPE_CHECKING:
    from pathlib import Path

CONTAINERS = "containers: [{name: c, ports: [PORT]}]"
POD = f"{{apiVersion: v1, kind: Pod, metadata: {{name: NAME, namespace: shop}}, spec: {{{CONTAINERS}}}}}"
WEB = POD.replace("NAME", "web").replace("PORT", "{containerPort: 80}")
DB = POD.replace("NAME", "db").replace("PORT", "{containerPort: 5432}")


def reach(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = run(["reach", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        (f"{WEB}\n---\n{{a: [\n---\n{DB}", "x.yaml:4: this is no YAML"),
        (f"{WEB}\n---\n- a list\n---\n{DB}", "x.yaml:3: expected a Kubernetes object"),
        (f"{WEB}\n---\n{POD.replace('NAME', 'Bad')}\n---\n{DB}", "x.yaml:3: Pod Bad: metadata.name"),
        (f"{WEB}\n--- # a comment\n{{a: 1, a: 2}}\n---\n{DB}", "x.yaml:3: the key 'a' is given twice"),
    ],
)
def test_the_rest_is_judged_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, left_out: str
) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text)
    assert reach(capsys, "matrix", file)[0] == 2
    code, out, err = reach(capsys, "matrix", "--keep-going", file)
    assert code == 0
    assert f"left out: {tmp_path}/{left_out}" in err
    assert "shop/web" in out
    assert "shop/db" in out


def test_a_file_that_is_no_text_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "b.yaml").write_text(WEB)
    code, out, err = reach(capsys, "matrix", "--keep-going", tmp_path)
    assert (code, "a.yaml" in err, "shop/web" in out) == (0, True, True)


KUBECTL = """#!/bin/sh
[ "$1" = "--context=prod" ] || { echo "error: context \\"${1#--context=}\\" does not exist" >&2; exit 1; }
case "$3" in
api-resources) printf 'pods\\nsecrets\\nnetworkpolicies.networking.k8s.io\\nnetworkpolicies.crd.projectcalico.org\\n'
  printf 'networkpolicies.projectcalico.org\\nevents.events.k8s.io\\n' ;;
get) cat "FOLDER/refused" >&2; echo '{"kind": "List", "items": ['; comma=
  for name in $(echo "$4" | tr , ' '); do
    if [ -e "FOLDER/$name.down" ]; then echo "Error from server (ServiceUnavailable): $name" >&2; down=1; continue; fi
    for item in "FOLDER/$name"/*.json; do [ -e "$item" ] && { echo "$comma"; cat "$item"; comma=,; }; done
    [ -d "FOLDER/$name" ] || exit 7
  done
  echo ']}'; [ -s "FOLDER/refused" ] || [ "$down" ] && exit 1; exit 0 ;;
esac
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubectl that knows one context; what it was not meant to be asked for fails."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop", "labels": {"app": name}}}
        for name in ("web", "db")
    ]
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "db", "namespace": "shop"},
        "spec": {"podSelector": {"matchLabels": {"app": "db"}}},
    }
    stored = {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "default.open", "namespace": "shop"},
        "spec": {"order": 1, "selector": "all()", "ingress": [{"action": "Allow"}]},
    }
    lists = {
        "pods": pods,
        "networkpolicies.networking.k8s.io": [policy],
        "networkpolicies.projectcalico.org": [],
        "networkpolicies.crd.projectcalico.org": [stored],
    }
    for name, items in lists.items():
        (folder / name).mkdir()
        for number, item in enumerate(items):
            (folder / name / f"{number}.json").write_text(json.dumps(item))
    (folder / "refused").write_text("")
    kubectl = folder / "kubectl"
    kubectl.write_text(KUBECTL.replace("FOLDER", str(folder)))
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.mark.usefixtures("cluster")
def test_a_live_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = reach(capsys, "explain", "web", "db:80", "--context", "prod")
    assert code == 0
    assert "isolated by NetworkPolicy shop/db, and no rule allows it" in out.replace("\n      ", " ")


def test_a_change_to_a_live_cluster(cluster: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = reach(capsys, "diff", "--context", "prod", "--delete", "netpol/shop/db")
    assert (code, out.splitlines()[-1]) == (0, "2 pairs open; nothing closes.")
    wanted = cluster / "wanted.yaml"
    wanted.write_text("\n---\n".join(path.read_text() for path in sorted((cluster / "pods").iterdir())))
    code, out, _ = reach(capsys, "diff", "--context", "prod", wanted)
    assert (code, out.splitlines()[-1]) == (0, "2 pairs open; nothing closes.")


def test_a_kind_that_may_not_be_read(cluster: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cluster / "refused").write_text('Error from server (Forbidden): nodes is forbidden: User "me"\n')
    code, _, err = reach(capsys, "explain", "web", "db:80", "--context", "prod")
    assert (code, "nodes is forbidden" in err, "--keep-going" in err) == (3, True, True)
    code, out, err = reach(capsys, "explain", "web", "db:80", "--context", "prod", "--keep-going")
    assert (code, "left out: kubectl get: Error from server (Forbidden): nodes" in err) == (0, True)
    assert "isolated by NetworkPolicy shop/db" in out


def test_calicos_storage_is_read_where_its_own_api_is_down(cluster: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = reach(capsys, "explain", "web", "db:80", "--context", "prod")
    assert "dropped" in out
    (cluster / "networkpolicies.projectcalico.org.down").write_text("")
    code, out, _ = reach(capsys, "explain", "web", "db:80", "--context", "prod")
    assert code == 0
    assert "NetworkPolicy shop/open rule 1 allows it" in out


@pytest.mark.usefixtures("cluster")
def test_a_context_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = reach(capsys, "matrix", "--context", "nope")
    assert code == 3
    assert 'kubectl api-resources: error: context "nope" does not exist' in err


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.yaml"
    path.write_text(f"{WEB}\n---\n{DB}")
    return path


def test_a_graph_in_dot(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = reach(capsys, "matrix", file, "-o", "dot")
    assert '"shop/web" -> "shop/db" [label="5432", style=solid];' in out
    assert out.count("{") == out.count("}") == 2


def test_a_graph_in_svg(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = reach(capsys, "matrix", file, "-o", "svg")
    root = ET.fromstring(out)  # noqa: S314 - netdojo's own output
    name = "{http://www.w3.org/2000/svg}"
    assert [text.text for text in root.iter(f"{name}text")] == ["from", "to", "shop/db", "shop/web", *PORTS]
    assert [path[0].text for path in root.iter(f"{name}path")] == ["shop/web → shop/db:5432", "shop/db → shop/web:80"]


PORTS = ["shop/db:5432", "shop/web:80"]


def test_cases_as_junit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    objects = [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "a"}} for name in "xy"]
    cells = [
        {"from": "a/x", "to": "a/y", "protocol": "TCP", "port": 80, "allowed": allowed} for allowed in (True, False)
    ]
    steps = [{"objects": objects, "expect": [cell]} for cell in cells]
    file = tmp_path / "cases.json"
    file.write_text(json.dumps({"cases": [{"id": "one <&>", "steps": steps}]}))
    code, out, _ = reach(capsys, "check", file, "-o", "junit")
    (suite,) = ET.fromstring(out)  # noqa: S314 - netdojo's own output
    assert code == 1
    assert [(case.get("classname"), case.get("name"), len(case)) for case in suite] == [
        ("one <&>", "step 1", 0),
        ("one <&>", "step 2", 1),
    ]
    assert "expected dropped:" in (suite[1][0].text or "")
