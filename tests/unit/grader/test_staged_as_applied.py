"""A staged policy in force is the policy that it stages, applied: the same objects as when that was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from content.errors import UsageError
from grader.calico.staged import enforce_staged
from grader.kube.model import Origin

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = [Origin("a.yaml", 1)] * 9
RULES = "{selector: has(a), order: 7, ingress: [{action: Allow}]}"
OPEN = "{podSelector: {}, ingress: [{}]}"
CLOSED = "{podSelector: {matchLabels: {a: b}}}"


@pytest.mark.parametrize(
    ("staged", "applied"),
    [
        ([f"sgnp a {RULES}"], [f"gnp a {RULES}"]),
        ([f"snp shop/a {RULES}"], [f"np shop/a {RULES}"]),
        ([f"sgnp a {RULES}", "gnp a {order: 1}", "gnp b {}"], [f"gnp a {RULES}", "gnp b {}"]),
        ([f"sgnp b {RULES}", "gnp a {}", "gnp c {}"], ["gnp a {}", f"gnp b {RULES}", "gnp c {}"]),
        (
            [f"snp shop/a {RULES}", "np lobby/a {}", "gnp a {}", "np shop/b {}"],
            ["np lobby/a {}", "gnp a {}", f"np shop/a {RULES}", "np shop/b {}"],
        ),
        ([f"snp shop/b {RULES}", "np shop/a {}", "np zoo/a {}"], ["np shop/a {}", f"np shop/b {RULES}", "np zoo/a {}"]),
        (["sgnp a {stagedAction: Delete}", "gnp a {}", "gnp b {}"], ["gnp b {}"]),
        (["sgnp a {stagedAction: Delete}"], []),
        (["snp shop/a {stagedAction: Delete}", "gnp a {}", "np shop/a {}"], ["gnp a {}"]),
        (["sgnp a {stagedAction: Learn}"], ["gnp a {}"]),
        ([f"sknp shop/a {OPEN}"], [f"knp shop/a {OPEN}"]),
        ([f"sknp shop/a {OPEN}", f"knp shop/a {CLOSED}"], [f"knp shop/a {OPEN}"]),
        (
            [f"sknp shop/b {OPEN}", f"knp shop/a {CLOSED}", f"knp lobby/b {CLOSED}", f"knp zoo/a {CLOSED}"],
            [f"knp lobby/b {CLOSED}", f"knp shop/a {CLOSED}", f"knp shop/b {OPEN}", f"knp zoo/a {CLOSED}"],
        ),
        (
            ["sknp shop/a {stagedAction: Delete}", f"knp shop/a {CLOSED}", f"knp shop/b {OPEN}", "gnp a {}"],
            [f"knp shop/b {OPEN}", "gnp a {}"],
        ),
        (
            [f"sknp shop/a {OPEN}", f"sgnp a {RULES}", "sgnp b {stagedAction: Ignore}"],
            [f"knp shop/a {OPEN}", f"gnp a {RULES}", "sgnp b {stagedAction: Ignore}"],
        ),
    ],
)
def test_all_in_force(parsed: Callable[..., Any], staged: list[str], applied: list[str]) -> None:
    found = enforce_staged(parsed(*staged, origins=HERE))
    assert _policies(found) == _policies(parsed(*applied, origins=HERE))


def _policies(objects: Any) -> tuple[object, ...]:
    return objects.policies, objects.calico_policies


@pytest.mark.parametrize(
    ("names", "applied"),
    [
        (["a"], ["gnp a {}", "np shop/a {}", "snp shop/b {}"]),
        (["shop/a"], ["sgnp a {}", "np shop/a {}", "snp shop/b {}"]),
        (["b", "shop/a"], ["sgnp a {}", "np shop/a {}", "np shop/b {}"]),
        ([], ["sgnp a {}", "snp shop/a {}", "snp shop/b {}"]),
    ],
)
def test_some_in_force(parsed: Callable[..., Any], names: list[str], applied: list[str]) -> None:
    found = enforce_staged(parsed("sgnp a {}", "snp shop/a {}", "snp shop/b {}", origins=HERE), names)
    assert _policies(found) == _policies(parsed(*applied, origins=HERE))


@pytest.mark.parametrize(
    ("texts", "remedy"),
    [
        (["sgnp a {}", "snp shop/c {}", "gnp b {}"], "staged are: a, shop/c"),
        (["sknp shop/k {podSelector: {}}"], "staged are: shop/k"),
        (["gnp b {}"], "none is"),
        ([], "none is"),
    ],
)
def test_no_such_staged_policy(parsed: Callable[..., Any], texts: list[str], remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        enforce_staged(parsed(*texts), ["b"])
    assert (caught.value.message, caught.value.remedy) == ("there is no staged policy b", remedy)
