from __future__ import annotations

import pytest

from tui.lab.steps import Steps


def told(*lines: tuple[float, str]) -> Steps:
    steps = Steps()
    for now, line in lines:
        steps = steps.told(line, now)
    return steps


@pytest.mark.parametrize(
    ("lines", "now", "shown", "line"),
    [
        ([(0.0, "namespaces"), (0.1, "4 pods")], 1, ["namespaces", "4 pods"], "4 pods"),
        ([(0.0, "making it …")], 7, ["making it … 7 s"], "making it … 7 s"),
        (
            [(0.0, "making it …"), (2.0, "  Starting control-plane")],
            9,
            ["making it … 9 s", "  Starting control-plane"],
            "making it … 9 s (Starting control-plane)",
        ),
        (
            [(0.0, "making it …"), (2.0, "  Starting"), (9.0, "making it: 9.0 s"), (9.0, "Calico …")],
            10,
            ["making it: 9.0 s", "Calico … 1 s"],
            "Calico … 1 s",
        ),
        (
            [(0.0, "making it …"), (1.0, "note: memory: little"), (2.0, "making it: 2.0 s")],
            3,
            ["note: memory: little", "making it: 2.0 s"],
            "making it: 2.0 s",
        ),
        ([(0.0, "one …"), (4.0, "two …")], 5, ["one", "two … 1 s"], "two … 1 s"),
        ([(0.0, "probing: 3 s")], 1, ["probing: 3 s"], "probing: 3 s"),
    ],
    ids=["plain", "runs", "inside", "over", "note", "not closed", "looks like an end"],
)
def test_what_is_over_and_what_goes_on(lines: list[tuple[float, str]], now: float, shown: list[str], line: str) -> None:
    steps = told(*lines)
    assert steps.lines(now) == shown
    assert steps.line(now) == line


def test_the_last_lines_are_the_ones_that_are_shown() -> None:
    assert told(*((float(n), f"step {n}") for n in range(30))).lines(31)[-1] == "step 29"
    assert len(told(*((float(n), f"step {n}") for n in range(30))).lines(31)) == 12
