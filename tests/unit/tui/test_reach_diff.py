"""`netdojo reach diff`: ways to say what changes, forms, exit statuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tui.cli import run

if TYPE_CHECKING:
    from pathlib import Path

PODS = """
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: c, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: shop, labels: {app: client}}
"""
DENY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: shop}
spec: {podSelector: {matchLabels: {app: web}}}
"""
STAGED = DENY.replace("networking.k8s.io/v1", "projectcalico.org/v3").replace(
    "NetworkPolicy", "StagedKubernetesNetworkPolicy"
)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    found = {}
    contents = {
        "old": PODS,
        "new": f"{PODS}---{DENY}",
        "deny": DENY,
        "staged": f"{PODS}---{STAGED}",
        "deleting": f"{PODS}---{DENY}---{STAGED.partition('spec:')[0]}spec: {{stagedAction: Delete}}",
    }
    for name, content in contents.items():
        path = tmp_path / f"{name}.yaml"
        path.write_text(content)
        found[name] = str(path)
    return found


def diff(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["reach", "diff", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        ("{old} {old}", "Nothing opens and nothing closes."),
        ("{old} {new}", "nothing opens; 2 pairs close."),
        ("{new} {old}", "2 pairs open; nothing closes."),
        ("{old} --apply {deny}", "nothing opens; 2 pairs close."),
        ("{new} --delete networkpolicy/shop/deny", "2 pairs open; nothing closes."),
        ("{new} --delete netpol/shop/deny", "2 pairs open; nothing closes."),
        ("{staged} --enforce-staged deny", "nothing opens; 2 pairs close."),
        ("{staged} --enforce-staged shop/deny", "nothing opens; 2 pairs close."),
        ("{deleting} --enforce-staged all", "2 pairs open; nothing closes."),
    ],
)
def test_ways_to_say_what_changes(
    files: dict[str, str], capsys: pytest.CaptureFixture[str], arguments: str, last: str
) -> None:
    code, out, _ = diff(capsys, *arguments.format(**files).split())
    assert (code, out.splitlines()[-1]) == (0, last)


def test_text_has_a_witness_and_the_reason(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = diff(capsys, files["old"], files["new"])
    assert out.startswith("- closes shop/client, every outside address -> shop/web: every port and ping\n")
    assert "for example shop/client -> shop/web:80/TCP" in out
    assert "isolated by NetworkPolicy shop/deny" in out.replace("\n          ", " ")


def test_json(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = diff(capsys, files["old"], files["new"], "-o", "json")
    document = json.loads(out)
    (change,) = document["closed"]
    members = [document["groups"][i]["members"] for i in change["sources"]]
    assert sorted(members) == [["0.0.0.0/0"], ["shop/client"]]
    assert change["ports"][0] == {"protocol": "ICMP", "from": 0, "to": 0}
    assert (document["opened"], change["pairs"], change["flows"]) == ([], 2, 2 * (3 * 65535 + 1))


def test_markdown(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = diff(capsys, files["old"], files["new"], "-o", "markdown")
    row = next(line for line in out.splitlines() if line.startswith("| closes"))
    assert row.count("|") == 7
    assert "`shop/client -> shop/web:80/TCP`" in row


@pytest.mark.parametrize(("fail_on", "code"), [("opens", 0), ("closes", 1), ("any", 1)])
def test_fail_on(files: dict[str, str], capsys: pytest.CaptureFixture[str], fail_on: str, code: int) -> None:
    assert diff(capsys, files["old"], files["new"], "--fail-on", fail_on)[0] == code


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("{old}", "nothing to compare with"),
        ("{old} {new} --apply {deny}", "exclude each other"),
        ("{new} --delete networkpolicy/shop/dany", "did you mean networkpolicy/shop/deny?"),
        ("{staged} --enforce-staged dony", "there is no dony"),
    ],
)
def test_wrong_use(files: dict[str, str], capsys: pytest.CaptureFixture[str], arguments: str, words: str) -> None:
    code, _, err = diff(capsys, *arguments.format(**files).split())
    assert code == 2
    assert words in err
