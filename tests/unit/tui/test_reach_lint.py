"""`netdojo reach lint`: forms and exit statuses."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from tui.cli import run

if TYPE_CHECKING:
    from pathlib import Path

POD = "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}}"
POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: NAME, namespace: shop}
spec: {podSelector: {matchLabels: {app: LABEL}}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a shop.yaml"
    good, bad, again = (
        POLICY.replace("NAME", name).replace("LABEL", label)
        for name, label in (("good", "web"), ("bad", "wep"), ("again", "web"))
    )
    path.write_text("---".join((POD + "\n", good, bad, again)))
    return path


def lint(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = run(["reach", "lint", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_text(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = lint(capsys, file)
    assert code == 1
    assert f"{file}:8: NetworkPolicy shop/bad" in out
    assert "ND012 error: it selects nothing: nothing has the label app=wep" in out
    assert "did you mean app=web?" in out
    assert out.splitlines()[-1] == "3 policies: 1 error, 1 note."


def test_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = lint(capsys, file, "-o", "json")
    document = json.loads(out)
    assert (document["version"], document["policies"]) == (1, 3)
    assert [(each["code"], each["policy"]["line"]) for each in document["findings"]] == [("ND012", 8), ("ND006", 13)]


def test_sarif(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = lint(capsys, file, "-o", "sarif")
    (run_,) = json.loads(out)["runs"]
    rules = run_["tool"]["driver"]["rules"]
    for result in run_["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    location = run_["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"].endswith("a%20shop.yaml")
    assert location["region"] == {"startLine": 8}


def test_junit(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = lint(capsys, file, "-o", "junit")
    (suite,) = ET.fromstring(out)  # noqa: S314 - netdojo's own output
    assert [(case.get("name"), [part.tag for part in case]) for case in suite] == [
        ("NetworkPolicy shop/good", []),
        ("NetworkPolicy shop/bad", ["failure"]),
        ("NetworkPolicy shop/again", ["system-out"]),
    ]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--fail-on", "never"], 0),
        (["--fail-on", "error"], 1),
        (["--ignore", "ND012"], 0),
        (["--ignore", "ND012", "--fail-on", "note"], 1),
        (["--select", "ND006"], 0),
        (["--select", "ND999"], 2),
    ],
)
def test_what_fails(file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int) -> None:
    assert lint(capsys, file, *arguments)[0] == code
