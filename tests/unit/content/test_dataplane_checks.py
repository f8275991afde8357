# ruff: noqa: E501 - a table reads by its rows
"""Checks of the second kind in a lab's file: one kind a check, what they need, and what mistakes may claim of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from content.load import load_lab
from content.schema import schema
from content.validate import lint

if TYPE_CHECKING:
    from conftest import Folder

FIRST = "      - connectivity:\n          to: [customer]\n          others: allow\n"
GOOD = "      - dataplane: {mode: ebpf, kube_proxy: gone, services: [summary]}\n"


@pytest.fixture
def folder(lab_folder: Folder) -> Folder:
    """The lab with a check of the nodes in its first task, and a mistake that fails there."""
    lab_folder.edit("lab.yaml", FIRST, FIRST + GOOD)
    lab_folder.edit("lab.yaml", "topology:", "needs: [ebpf]\ntopology:")
    mistake = '        opens: ["customer -> database:2379"]\n'
    lab_folder.edit("lab.yaml", mistake, mistake + "        dataplane: [mode, kube_proxy]\n")
    return lab_folder


def test_a_check_of_the_nodes_is_read(folder: Folder) -> None:
    assert lint(folder.path) == ()
    lab = load_lab(folder.path)
    task = lab.spec.tasks[0]
    assert [check.dataplane.requirements for check in task.checks if check.dataplane] == [
        ("mode", "kube_proxy", "services")
    ]
    assert len(task.connectivity) == 2
    assert lab.spec.mistakes["any-pod-of-the-namespace"].fails["protect-database"].dataplane == ("mode", "kube_proxy")


@pytest.mark.parametrize(
    ("old", "new", "cause", "remedy"),
    [
        ("mode: ebpf", "mode: epbf", "'epbf' is not one of 'iptables', 'nftables' or 'ebpf'", "did you mean ebpf?"),
        ("kube_proxy: gone", "kube-proxy: gone", "unknown field tasks[0].checks[2].dataplane.kube-proxy", "kube_proxy?"),
        ("{mode: ebpf, kube_proxy: gone, services: [summary]}", "{}", "this check of protect-database judges nothing", ""),
        ("services: [summary]", "services: [sumary]", "the start manifests make no Service sumary", "did you mean summary?"),
        ("needs: [ebpf]\n", "", "where a node's kernel can be looked at", "add ebpf to `needs`"),
        ("dataplane: [mode, kube_proxy]", "dataplane: [proxy]", "'proxy' is not one of", ""),
        ("mode: ebpf, kube", "kube", "no dataplane check of protect-database asks for mode", ""),
        ("      - dataplane: {mode", "        dataplane: {mode", "a check is of one kind, and this gives connectivity and dataplane", "several checks"),
        (GOOD, GOOD + "      - {}\n", "a check is of one kind, and this gives nothing", "give one of: connectivity, dataplane"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(folder: Folder, old: str, new: str, cause: str, remedy: str) -> None:
    folder.edit("lab.yaml", old, new)
    found = [defect for defect in lint(folder.path) if cause in defect.cause]
    assert found, [str(defect) for defect in lint(folder.path)]
    assert found[0].line
    assert remedy in found[0].remedy


def test_editors_are_told_that_a_check_is_of_one_kind() -> None:
    check = schema("lab")["$defs"]["Check"]
    assert (check["minProperties"], check["maxProperties"]) == (1, 1)
    assert set(check["properties"]) == {"connectivity", "dataplane"}
