"""What a check asks beside traffic, in every form of a report: what is asked, and what was found instead."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

from grader.report import CheckReport, Report, Requirement, TaskReport
from tui.output import report_json, report_junit, report_text
from tui.widgets.findings import report_text as shown

MODE = Requirement("mode", "every node runs eBPF", held=False, found=("node a: no program on eth0", "node b: <gone>"))
PROXY = Requirement("kube_proxy", "kube-proxy is gone", held=True)
UNPROVEN = CheckReport("connectivity", held=False, share=0.0, messages=("traffic is not judged: the canary passed",))


def report(*checks: CheckReport) -> Report:
    task = TaskReport("switch", "Switch", 8, 4, all(check.held for check in checks), checks)
    return Report("turn-on", "kind", "iptables", simulated=False, tasks=(task,))


NOT_YET = report(CheckReport("dataplane", held=False, share=0.5, requirements=(MODE, PROXY)), UNPROVEN)
DONE = report(CheckReport("dataplane", held=True, share=1.0, requirements=(PROXY,)))


def test_text_tells_what_is_not_so_and_why() -> None:
    text = report_text(NOT_YET, 60)
    assert "Beside the traffic" in text
    assert "  ! every node runs eBPF: not so\n      node a: no program on eth0\n      node b: <gone>\n" in text
    assert "traffic is not judged: the canary passed" in text
    assert "kube-proxy" not in text
    assert "Beside the traffic" not in report_text(DONE, 60)


def test_json_has_every_requirement() -> None:
    on_nodes, _ = json.loads(report_json(NOT_YET))["tasks"][0]["checks"]
    assert on_nodes["kind"] == "dataplane"
    assert on_nodes["requirements"] == [
        {"name": "mode", "asked": "every node runs eBPF", "held": False, "found": list(MODE.found)},
        {"name": "kube_proxy", "asked": "kube-proxy is gone", "held": True, "found": []},
    ]


def test_junit_names_what_is_not_so() -> None:
    failure = ET.fromstring(report_junit(NOT_YET)).find(".//failure")  # noqa: S314 - our own output
    assert failure is not None
    assert failure.get("message") == "Switch: 4 of 8 points, traffic is not judged: the canary passed"
    assert "every node runs eBPF: not so\nnode a: no program on eth0\nnode b: <gone>" in (failure.text or "")
    assert "<failure" not in report_junit(DONE)


def test_the_app_shows_the_same() -> None:
    text = shown(NOT_YET).plain
    assert "! every node runs eBPF: not so\n      node a: no program on eth0" in text
    assert "kube-proxy" not in text
