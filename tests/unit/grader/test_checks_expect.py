"""What each cell should be."""

from __future__ import annotations

from typing import Any

import pytest

from content.errors import BrokenContentError
from content.model import Connectivity
from grader.checks.expect import Wanted, cells_of, combined, expect
from grader.kube.parse import read_objects
from grader.matrix import build
from grader.report import Expectation

OPEN, CLOSED, ANY = Expectation.OPEN, Expectation.CLOSED, Expectation.ANY


@pytest.fixture
def asked(bank: Any) -> Any:
    """What a check asks, by the cell's text; `open_at_start` are the cells that `unchanged` keeps open."""

    def made(open_at_start: tuple[str, ...] = (), **check: Any) -> dict[str, Wanted]:
        lab = bank.lab(bank.task(check))
        matrix = build(lab, read_objects(bank.running(bank.objects)))
        baseline = {key: str(key) in open_at_start for key in matrix.cells(matrix.endpoints, list(matrix.endpoints))}
        return {str(key): want for key, want in expect(lab, Connectivity(**check), matrix, baseline).items()}

    return made


@pytest.mark.parametrize(("others", "rest"), [("deny", CLOSED), ("allow", OPEN)])
def test_what_is_not_listed_is_judged_by_others(asked: Any, others: str, rest: Expectation) -> None:
    got = asked(allow=("customer -> summary",), deny=("guest.outside -> database",), others=others)
    assert len(got) == 12
    assert got.pop("customer -> summary:80").expectation is OPEN
    assert got.pop("guest.outside -> database:2379").expectation is CLOSED
    assert {want.expectation for want in got.values()} == {rest}


def test_unchanged_is_what_the_start_was(asked: Any) -> None:
    got = asked(open_at_start=("customer -> summary:80",), deny=("guest.outside -> summary",), others="unchanged")
    assert [cell for cell, want in got.items() if want.expectation is OPEN] == ["customer -> summary:80"]


def test_without_others_only_the_listed_cells_are_judged(asked: Any) -> None:
    assert list(asked(allow=("customer -> summary",))) == ["customer -> summary:80"]


@pytest.mark.parametrize(
    ("between", "to", "count"),
    [
        (("customer", "summary", "database"), (), 6),
        (("customer", "summary"), ("database",), 2),
        ((), ("database",), 3),
        (("customer.bank", "guest.outside"), (), 2),
    ],
)
def test_between_and_to_limit_the_matrix(asked: Any, between: tuple[str, ...], to: tuple[str, ...], count: int) -> None:
    assert len(asked(others="deny", between=between, to=to)) == count


def test_an_arrow_outside_the_limits_is_judged_too(asked: Any) -> None:
    got = asked(allow=("guest.outside -> customer",), others="deny", to=("database",))
    assert got["guest.outside -> customer:80"].expectation is OPEN


@pytest.mark.parametrize(
    ("check", "cause"),
    [
        ({"allow": ("customer -> summary",), "deny": ("* -> summary:80",)}, "in `allow` and in `deny`"),
        ({"allow": ("customer -> customer",)}, "means no cell"),
        ({"allow": ("* -> *:8443",)}, "means no cell"),
        ({"others": "deny", "to": ("nobody",)}, "no workload nobody"),
        ({}, "judges no cell"),
        ({"others": "deny", "between": ("customer",)}, "judges no cell"),
    ],
)
def test_a_check_that_makes_no_sense_is_broken_content(asked: Any, check: dict[str, Any], cause: str) -> None:
    with pytest.raises(BrokenContentError, match=cause) as raised:
        asked(**check)
    assert raised.value.defects[0].file.name == "lab.yaml"


def test_seen_as_goes_with_its_cells(asked: Any) -> None:
    got = asked(allow=("customer -> summary", "customer,database -> summary:80 seen as customer.bank"))
    assert got["customer -> summary:80"] == Wanted(OPEN, "customer")


def test_tasks_together_cover_the_whole_matrix(bank: Any) -> None:
    lab = bank.lab(
        bank.task({"allow": ("customer -> summary",)}, name="one"),
        bank.task({"deny": ("guest.outside -> database",)}, {"allow": ("customer -> summary",)}, name="two"),
    )
    matrix = build(lab, read_objects(bank.running(bank.objects)))
    got = combined(lab, matrix, {})
    assert len(got) == 12
    assert {str(key): want.expectation for key, want in got.items() if want.expectation is not ANY} == {
        "customer -> summary:80": OPEN,
        "guest.outside -> database:2379": CLOSED,
    }


def test_tasks_that_contradict_are_broken_content(bank: Any) -> None:
    lab = bank.lab(
        bank.task({"allow": ("customer -> summary",)}, name="one"), bank.task({"others": "deny"}, name="two")
    )
    matrix = build(lab, read_objects(bank.running(bank.objects)))
    with pytest.raises(BrokenContentError, match="task two"):
        combined(lab, matrix, {})


def test_cells_of_arrows(bank: Any) -> None:
    lab = bank.lab(bank.task({"others": "deny"}))
    matrix = build(lab, read_objects(bank.running(bank.objects)))
    got = cells_of(matrix, ["customer,summary -> database", "summary -> database:2379"])
    assert {str(key) for key in got} == {"customer -> database:2379", "summary -> database:2379"}
