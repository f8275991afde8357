"""Findings of `reach lint` in text, JSON, SARIF 2.1.0 and JUnit XML. The JSON is documented in `docs/reach.md`."""

from __future__ import annotations

import json
from collections import Counter
from itertools import groupby
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from grader.lint.finding import CODES, Level
from tui.output.machine import attribute, legal
from tui.output.terminal import BOLD, DIM, RED, YELLOW, clean, default_symbols, paint, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.lint.finding import Finding
    from grader.reachability.verdict import PolicyRef, RuleLine

STYLES = {Level.ERROR: RED, Level.WARNING: YELLOW, Level.NOTE: DIM}


def line_of(finding: Finding, rule_line: RuleLine | None) -> int:
    """The line that a finding is about: of its rule where it is about one, else of its policy."""
    policy = finding.policy
    if not finding.rule or not policy.file or rule_line is None:
        return policy.line
    return rule_line(policy, finding.direction, finding.rule)


def findings_text(
    findings: Sequence[Finding],
    policies: int,
    width: int = 80,
    *,
    color: bool = False,
    rule_line: RuleLine | None = None,
) -> str:
    """Policy by policy: what is the matter, and what to do; then the totals."""
    symbols = default_symbols()
    lines: list[str] = []
    for policy, found in groupby(findings, key=lambda each: each.policy):
        place = f"{policy.file}:{policy.line}: " if policy.file else ""
        lines.append(paint(clean(f"{place}{policy}", symbols), BOLD, color=color))
        for each in found:
            line = line_of(each, rule_line)
            own = f" (line {line})" if line != policy.line else ""
            where = f"{each.direction} rule {each.rule}{own}: " if each.rule else ""
            head = clean(f"{each.code} {each.level}: {where}{each.message}", symbols)
            lines += [paint(line, STYLES[each.level], color=color) for line in wrap(head, width, "  ", "      ")]
            lines += wrap(clean(f"{symbols.arrow} {each.fix}", symbols), width, "      ", "        ")
    counted = Counter(each.level for each in findings)
    counts = ", ".join(
        f"{counted[level]} {level}{'s' if counted[level] != 1 else ''}" for level in Level if counted[level]
    )
    word = "policy" if policies == 1 else "policies"
    return "\n".join([*lines, *([""] if lines else []), f"{policies} {word}: {counts or 'nothing found'}."])


def findings_json(findings: Sequence[Finding], policies: int, rule_line: RuleLine | None = None) -> str:
    """Everything; see `docs/reach.md`."""
    listed = [
        {
            "code": each.code,
            "name": CODES[each.code].name,
            "level": str(each.level),
            "policy": policy_json(each.policy),
            "direction": each.direction,
            "rule": each.rule,
            "line": line_of(each, rule_line),
            "message": each.message,
            "reason": CODES[each.code].reason,
            "fix": each.fix,
        }
        for each in findings
    ]
    return json.dumps({"version": 1, "policies": policies, "findings": listed}, indent=2)


def policy_json(policy: PolicyRef) -> dict[str, Any]:
    """A policy for JSON; `file` is empty for a live cluster."""
    return {
        "kind": policy.kind,
        "group": policy.group,
        "namespace": policy.namespace,
        "name": policy.name,
        "file": policy.file,
        "line": policy.line,
    }


def findings_sarif(findings: Sequence[Finding], rule_line: RuleLine | None = None) -> str:
    """A SARIF log (OASIS, Static Analysis Results Interchange Format 2.1.0), for code scanning in pipelines."""
    codes = list(CODES)
    rules = [
        {
            "id": code,
            "name": entry.name,
            "shortDescription": {"text": entry.reason},
            "defaultConfiguration": {"level": str(entry.level)},
        }
        for code, entry in CODES.items()
    ]
    driver = {"name": "netdojo", "rules": rules}
    results = [
        {
            "ruleId": each.code,
            "ruleIndex": codes.index(each.code),
            "level": str(each.level),
            "message": {"text": f"{each}. {each.fix}"},
            "locations": [_location(each.policy, line_of(each, rule_line))],
        }
        for each in findings
    ]
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    return json.dumps(log, indent=2)


def _location(policy: PolicyRef, line: int) -> dict[str, Any]:
    name = {"logicalLocations": [{"fullyQualifiedName": str(policy), "kind": "object"}]}
    if not policy.file or policy.file == "-":
        return name
    uri = quote(PurePath(policy.file).as_posix())
    region = {"region": {"startLine": line}} if line else {}
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, **region}, **name}


def findings_junit(findings: Sequence[Finding], policies: Sequence[PolicyRef]) -> str:
    """JUnit XML: one test case a policy, which fails with its findings; notes do not fail."""
    by_policy: dict[PolicyRef, list[Finding]] = {policy: [] for policy in policies}
    for each in findings:
        by_policy.setdefault(each.policy, []).append(each)
    failing = {policy for policy, found in by_policy.items() if any(each.level is not Level.NOTE for each in found)}
    count = f'tests="{len(by_policy)}" failures="{len(failing)}" errors="0" skipped="0"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="netdojo reach lint" {count}>',
        f'  <testsuite name="policies" {count}>',
    ]
    for policy, found in by_policy.items():
        case = f"    <testcase classname={attribute(policy.namespace or 'cluster')} name={attribute(str(policy))}"
        if not found:
            lines.append(f"{case}/>")
            continue
        text = escape(legal("\n".join(f"{each.code} {each.level}: {each}. {each.fix}" for each in found)))
        codes = attribute(", ".join(dict.fromkeys(each.code for each in found)))
        tag = f'<failure type="lint" message={codes}>{text}</failure>'
        lines += [f"{case}>", f"      {tag if policy in failing else f'<system-out>{text}</system-out>'}"]
        lines.append("    </testcase>")
    return "\n".join([*lines, "  </testsuite>", "</testsuites>"])
