"""Known cells against verdicts, and files that are no cases."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from content.errors import BrokenContentError, UsageError
from grader.reachability.cases import judge, read_steps

FILE = Path("cases.json")
PODS = [
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "a"},
        "status": {"podIPs": [{"ip": f"10.0.0.{number}"}, {"ip": f"fd00::{number}"}]},
    }
    for number, name in enumerate(("x", "y"), start=1)
]
DENY = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "d", "namespace": "a"}}
CELL: dict[str, Any] = {"from": "a/x", "to": "a/y", "protocol": "TCP", "port": 80, "allowed": True}


def document(*cells: dict[str, Any]) -> dict[str, Any]:
    return {"cases": [{"id": "one", "steps": [{"objects": PODS, "expect": list(cells)}]}]}


def test_totals_and_differences() -> None:
    wrong, disputed = CELL | {"allowed": False}, CELL | {"allowed": False, "disputed": "another release"}
    tally = judge(read_steps(document(CELL, wrong, disputed), FILE))
    assert (tally.steps, tally.cells, tally.agreeing, tally.disputed, tally.left_open) == (1, 3, 1, 1, 0)
    (difference,) = tally.differing
    assert (difference.step.case, difference.step.number, difference.expected.allowed) == ("one", 1, False)
    assert difference.why[0] == "a/x -> a/y:80/TCP  open"


def test_more_objects_and_what_is_left_open() -> None:
    ping = CELL | {"protocol": "ICMP", "port": None}
    tally = judge(read_steps(document(CELL, ping), FILE), [DENY])
    assert (len(tally.differing), tally.left_open) == (1, 1)


def test_an_address_tells_the_family() -> None:
    only_v6 = {**DENY, "spec": {"ingress": [{"from": [{"ipBlock": {"cidr": "2001:db8::/32"}}]}]}}
    cells = [CELL | {"from": "ip:2001:db8::1"}, CELL | {"from": "ip:192.0.2.1", "allowed": False}]
    assert judge(read_steps(document(*cells), FILE), [only_v6]).differing == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.pop("cases"), "there is no list `cases`"),
        (lambda d: d["cases"].append(3), r"cases\[1\] must be an object"),
        (lambda d: d["cases"][0].pop("steps"), r"cases\[0\] has no list `steps`"),
        (lambda d: d["cases"][0]["steps"][0].pop("objects"), "needs the lists `objects` and `expect`"),
        (lambda d: d["cases"][0]["steps"][0]["expect"].append({}), r"expect\[1\]: `from`, `to` and `protocol` must be"),
        (lambda d: d["cases"][0]["steps"][0]["expect"][0].update(allowed="yes"), "`allowed` must be true or false"),
        (lambda d: d["cases"][0]["steps"][0]["expect"][0].update(port="80"), "`port` must be a number up to 65535"),
    ],
)
def test_no_cases(change: Any, words: str) -> None:
    broken = copy.deepcopy(document(CELL))
    change(broken)
    with pytest.raises(BrokenContentError, match=words):
        read_steps(broken, FILE)


def test_no_object_at_all() -> None:
    with pytest.raises(BrokenContentError, match="there is no list `cases`"):
        read_steps([1], FILE)


def test_what_a_case_gets_wrong_is_told_with_its_place() -> None:
    with pytest.raises(UsageError, match="one, step 1: there is no pod a/z"):
        judge(read_steps(document(CELL | {"to": "a/z"}), FILE))
    with pytest.raises(BrokenContentError, match="one, step 1: Pod a: "):
        judge(
            read_steps(document(CELL), FILE),
            [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": 1}],
        )
