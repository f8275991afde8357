"""`netdojo reach`: forms, exit statuses and messages, through the command line in this process."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from tui.cli import run

if TYPE_CHECKING:
    from pathlib import Path

SHOP = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: shop, labels: {app: client}}
---
apiVersion: v1
kind: Pod
metadata: {name: stranger, namespace: out}
spec: {containers: [{name: c, ports: [{containerPort: 53, protocol: UDP}]}]}
"""
POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: client}}}]
"""
CASES = {
    "cases": [
        {
            "id": "one",
            "steps": [
                {
                    "objects": [
                        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": n, "namespace": "a"}} for n in "xy"
                    ],
                    "expect": [{"from": "a/x", "to": "a/y", "protocol": "TCP", "port": 80, "allowed": True}],
                }
            ],
        }
    ]
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.yaml").write_text(SHOP)
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "cases.json").write_text(json.dumps(CASES))
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "shop.yml").write_text(SHOP)
    (tmp_path / "app" / "policy.yaml").write_text(POLICY)
    (tmp_path / "app" / "notes.txt").write_text("not read")
    return tmp_path


def reach(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = run(["reach", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_matrix_folds_workloads(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = reach(capsys, "matrix", folder / "shop.yaml", folder / "policy.yaml")
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()[2:5]}
    assert set(rows) == {"out/stranger", "shop/client", "shop/web"}
    signs = [sign for row in ("out/stranger", "shop/client", "shop/web") for sign in rows[row]]
    assert len(set(signs)) == 3
    assert rows["shop/client"][1] == rows["shop/web"][0]  # open: client to web, web to the stranger's DNS
    assert rows["out/stranger"][1] == rows["shop/web"][1]  # closed: stranger to web, web to its other pod
    assert all(len(line) <= 80 for line in out.splitlines())


def test_the_matrix_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = reach(
        capsys, "matrix", folder / "app", "--from", "client", "--to", "web:8080", "--to", "web:icmp", "-o", "json"
    )
    assert code == 0
    nobody = {"open": [], "closed": []}
    assert json.loads(out) == {
        "version": 1,
        "family": 4,
        "sources": ["shop/client"],
        "destinations": [
            {
                "destination": "shop/web",
                "port": 0,
                "protocol": "ICMP",
                "open": [],
                "mixed": [],
                "left_open": nobody | {"open": ["shop/client"]},
                "none": [],
            },
            {
                "destination": "shop/web",
                "port": 8080,
                "protocol": "TCP",
                "open": ["shop/client"],
                "mixed": [],
                "left_open": nobody,
                "none": [],
            },
        ],
    }


def test_pods_of_one_workload_that_are_treated_differently(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One replica carries a label of its own, which a policy selects."""
    pods = "".join(
        f"""
---
apiVersion: v1
kind: Pod
metadata:
  name: web-{name}
  namespace: shop
  labels: {{{label}}}
  ownerReferences: [{{kind: StatefulSet, name: web}}]
spec: {{containers: [{{name: c, ports: [{{containerPort: 80}}]}}]}}
"""
        for name, label in (("0", "app: web"), ("1", "app: other"))
    )
    file = tmp_path / "pods.yaml"
    file.write_text(pods + "---" + POLICY)
    code, out, _ = reach(capsys, "matrix", file, "--from", "ip:192.0.2.1", "--from", "web", "-o", "json")
    (destination,) = json.loads(out)["destinations"]
    assert (code, destination["mixed"]) == (0, ["ip:192.0.2.1", "shop/web"])
    code, out, _ = reach(capsys, "matrix", file)
    assert "~ differs between its pods" in out


def test_cases_are_no_manifests(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = reach(capsys, "matrix", folder / "cases.json")
    assert code == 2
    assert "cases.json:1" in err


def test_explain_tells_file_and_line(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    code, out, _ = reach(capsys, "explain", "stranger", "web", folder / "shop.yaml", folder / "policy.yaml")
    assert code == 0
    assert "out/stranger -> shop/web-1:8080/TCP  dropped  (and 1 more alike)" in out
    assert "policy.yaml:2]" in out
    code, out, _ = reach(capsys, "explain", "web", "web:1", folder / "shop.yaml", folder / "policy.yaml")
    assert "near miss: NetworkPolicy shop/web ingress rule 1: would match if label app of shop/web-2 were client" in out


def test_explanations_fit_the_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    _, out, _ = reach(capsys, "explain", "web", "web:1", folder / "app", "--namespace", "shop")
    assert max(len(line) for line in out.splitlines()[1:]) <= 60


def test_explain_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = reach(
        capsys, "explain", "client", "web:8080", folder / "shop.yaml", folder / "policy.yaml", "-o", "json"
    )
    document = json.loads(out)
    assert (code, document["version"], len(document["flows"])) == (0, 1, 2)
    assert document["flows"][0]["allowed"] is True
    assert document["flows"][0]["ingress"]["policy"]["name"] == "web"


def test_policies_that_are_not_judged_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "app" / "calico.yaml").write_text(
        "{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: g}}\n---\n"
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}"
    )
    code, _, err = reach(capsys, "matrix", folder / "app")
    assert code == 0
    assert err.splitlines() == [
        "note: not judged, although they may decide traffic: 1 CiliumNetworkPolicy.cilium.io",
        "note: passed over, as they decide no traffic: 1 ConfigMap",
    ]


def test_standard_input(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with (folder / "shop.yaml").open() as file:
        monkeypatch.setattr("sys.stdin", file)
        code, out, _ = reach(capsys, "explain", "client", "ip:192.0.2.1:443", "-")
    assert code == 0
    assert "shop/client -> ip:192.0.2.1:443/TCP  open" in out


@pytest.mark.parametrize("name", ["cases.json", "cases.json.gz"])
def test_check_holds(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    with gzip.open(folder / "cases.json.gz", "wt") as file:
        json.dump(CASES, file)
    assert reach(capsys, "check", folder / name) == (0, "1 cells in 1 steps: 1 agree, 0 differ\n", "")


def test_check_fails_and_explains(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deny = folder / "deny.yaml"
    deny.write_text("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: d, namespace: a}}")
    code, out, _ = reach(capsys, "check", folder / "cases.json", deny)
    assert code == 1
    assert "one, step 1: expected open" in out
    assert "isolated by NetworkPolicy a/d" in out
    code, out, _ = reach(capsys, "check", folder / "cases.json", deny, "-o", "json")
    assert (code, json.loads(out)["differing"][0]["expected"]) == (1, True)


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "this is no JSON"), ("{}", "there is no list `cases`"), ("[" * 100_000, "c.json")],
)
def test_check_of_a_broken_file(folder: Path, capsys: pytest.CaptureFixture[str], content: str, words: str) -> None:
    file = folder / "c.json"
    file.write_text(content)
    code, _, err = reach(capsys, "check", file)
    assert code == 2
    assert words in err


def test_check_of_what_is_no_gzip(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "c.json.gz"
    file.write_bytes(b"\x1f\x8b\x08\x00garbage")
    code, _, err = reach(capsys, "check", file)
    assert code == 2
    assert "cannot be read" in err


def test_check_of_an_archive_that_unpacks_without_end(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.commands.reach.check.LARGEST", 2**20)
    with gzip.open(folder / "bomb.json.gz", "wb") as file:
        file.write(b" " * 2**21)
    code, _, err = reach(capsys, "check", folder / "bomb.json.gz")
    assert code == 2
    assert "holds more than 1 MiB" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("matrix", "{}/none.yaml"), "none.yaml is not there"),
        (("explain", "nobody", "web", "{}/shop.yaml"), "no pod, workload or Service nobody"),
        (("explain", "client", "web:99999", "{}/shop.yaml"), "99999 is no port"),
        (("check", "{}/none.json"), "none.json is not there"),
        (("matrix",), "nothing to read"),
    ],
)
def test_wrong_use(folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str) -> None:
    code, _, err = reach(capsys, *(argument.format(folder) for argument in arguments))
    assert code == 2
    assert words in err


def test_a_refused_policy_names_file_line_and_field(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = folder / "bad.yaml"
    bad.write_text("\n" + POLICY.replace("podSelector: {matchLabels: {app: client}}", "ipBlock: {cidr: 10.0.0.0}"))
    code, _, err = reach(capsys, "matrix", bad)
    assert code == 2
    assert "bad.yaml:3: NetworkPolicy web: spec.ingress[0].from[0].ipBlock.cidr: Invalid value" in err


def test_a_lab_by_its_arrows(capsys: pytest.CaptureFixture[str]) -> None:
    from content.load import SHIPPED

    lab = next(SHIPPED.glob("*/*/labs/first-policy"))
    assert reach(capsys, "check", lab)[0] == 1
    code, out, _ = reach(capsys, "check", lab, lab / "solution")
    assert code == 0
    assert "simulated" in out
