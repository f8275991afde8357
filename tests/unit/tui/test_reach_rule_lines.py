"""Rules are named by their own line: in explanations, lints and SARIF; Calico's NetworkPolicy by its own name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from content.yamlio import line_within
from tui.cli import run

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """\
{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}}
---
# two rules
apiVersion: GROUP
kind: NetworkPolicy
metadata: {name: p, namespace: shop}
spec:
  SELECTOR
  ingress:
    - RULE
    -
      RULE
"""
KUBERNETES = (
    TEXT.replace("GROUP", "networking.k8s.io/v1")
    .replace("SELECTOR", "podSelector: {}")
    .replace("RULE", "from: [{podSelector: {matchLabels: {app: nobody}}}]", 1)
    .replace("RULE", "from: [{podSelector: {}}]")
)
CALICO = (
    TEXT.replace("GROUP", "projectcalico.org/v3")
    .replace("SELECTOR", "selector: all()")
    .replace("RULE", "{action: Deny, protocol: UDP}", 1)
    .replace("RULE", "{action: Allow}")
)


@pytest.mark.parametrize(
    ("line", "path", "found"),
    [
        (4, ("spec", "ingress", 0), 10),
        (4, ("spec", "ingress", 1), 12),
        (4, ("spec", "ingress", 2), 0),
        (4, ("spec", "egress", 0), 0),
        (5, ("spec", "ingress", 0), 0),
    ],
)
def test_a_line_below_another(line: int, path: tuple[str | int, ...], found: int) -> None:
    assert line_within(KUBERNETES, line, path) == found


def test_in_lints_and_sarif(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(KUBERNETES)
    run(["reach", "lint", str(file), "--select", "ND003", "--output", "sarif"])
    (result,) = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 10}
    run(["reach", "lint", str(file), "--select", "ND003"])
    assert "ingress rule 1 (line 10): nobody is meant" in capsys.readouterr().out


def test_in_explanations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(CALICO)
    run(["reach", "explain", "192.0.2.1", "web:80", str(file), "--edits", "0"])
    out = " ".join(capsys.readouterr().out.split())
    assert "Calico NetworkPolicy shop/p rule 2 allows it" in out
    assert out.count("p.yaml:12]") == 1
