from __future__ import annotations

from pathlib import Path

import pytest

from content.errors import BrokenContentError, Defect
from labs.located import locate


def policy(name: object, namespace: str = "shop") -> dict[str, object]:
    return {"kind": "NetworkPolicy", "metadata": {"name": name, "namespace": namespace}}


PLACED = [
    (policy("front"), "shop.yaml", 3),
    (policy("twice"), "shop.yaml", 9),
    (policy("twice", "lobby"), "lobby.yaml", 1),
    ({"kind": "Pod", "metadata": [1]}, "pod.yaml", 7),
    ({"metadata": None}, "none.yaml", 1),
]


@pytest.mark.parametrize(
    ("called", "where"),
    [
        ("NetworkPolicy/front", "shop.yaml:3: why"),
        ("NetworkPolicy/twice", "NetworkPolicy/twice: why"),  # it could be either
        ("NetworkPolicy/other", "NetworkPolicy/other: why"),
        ("Pod/?", "pod.yaml:7: why"),
    ],
)
def test_a_refused_object_is_named_by_its_place(called: str, where: str) -> None:
    assert str(locate(BrokenContentError([Defect(Path(called), 0, "why")]), PLACED)) == where
