"""What keeps an endpoint from being meant by a match, thing by thing, in the words of who wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.calico.labels import ACCOUNT, NAMESPACE, OF_ACCOUNT, OF_NAMESPACE
from grader.calico.selectors import Compare, Junction
from grader.kube.model import LabelSelector
from grader.policy.model import AllOf, AnyOf, Block, Labelled, Not, Selected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from grader.calico.selectors import Expression
    from grader.kube.model import Requirement
    from grader.policy.model import Endpoint, Match


_PAST = {"contains": "contained", "starts with": "started with", "ends with": "ended with"}


def match_misses(match: Match, endpoint: Endpoint, family: int) -> tuple[str, ...]:
    """Return every single thing that keeps an endpoint from being meant; none where its kind can never be meant."""
    found: tuple[str, ...] = ()
    match match:
        case Block():
            found = _block_misses(match, endpoint, family)
        case Selected():
            found = _selected_misses(match, endpoint)
        case Labelled():
            found = tuple(_labelled_misses(match.expression, endpoint))
        case AllOf():
            failing = [operand for operand in match.operands if not operand.matches(endpoint, family)]
            listed = [match_misses(operand, endpoint, family) for operand in failing]
            found = tuple(miss for misses in listed for miss in misses) if all(listed) else ()
        case AnyOf():
            listed = [misses for operand in match.operands if (misses := match_misses(operand, endpoint, family))]
            found = min(listed, key=len, default=())
        case Not():
            found = (f"if {endpoint.ref} were none of {match.operand}",)
    return found


def _labelled_misses(expression: Expression, endpoint: Endpoint) -> Iterator[str]:
    """Each part of a conjunction that does not hold."""
    labels = endpoint.calico
    if labels is None:
        return
    if isinstance(expression, Junction) and expression.word == "&&":
        for operand in expression.operands:
            yield from _labelled_misses(operand, endpoint)
    elif not expression.matches(labels):
        yield _lacks_calico(expression, endpoint) if isinstance(expression, Compare) else f"if {expression} held"


def _lacks_calico(compare: Compare, endpoint: Endpoint) -> str:
    labels = endpoint.calico or {}
    owner, key = endpoint.ref, compare.key
    if key.startswith(OF_NAMESPACE):
        owner, key = f"namespace {endpoint.namespace}", key.removeprefix(OF_NAMESPACE)
    elif key.startswith(OF_ACCOUNT):
        owner, key = f"service account {labels.get(ACCOUNT, '')}", key.removeprefix(OF_ACCOUNT)
    has = f"it is {labels[compare.key]}" if compare.key in labels else "it has none"
    values = " or ".join(compare.values)
    if compare.key == NAMESPACE and compare.operator == "==":
        return f"if {endpoint.ref} were in namespace {values}"
    if compare.key == ACCOUNT and compare.operator in ("==", "in"):
        return f"if {endpoint.ref} had service account {values} ({has})"
    match compare.operator:
        case "has":
            return f"if {owner} had a label {key}"
        case "==" | "in":
            return f"if label {key} of {owner} were {values} ({has})"
        case "!=" | "not in":
            return f"if label {key} of {owner} were not {values}"
        case _:
            return f"if label {key} of {owner} {_PAST[compare.operator]} {values} ({has})"


def _block_misses(block: Block, peer: Endpoint, family: int) -> tuple[str, ...]:
    address = peer.address(family)
    if address is None:
        unknown = f"if {peer.ref} had an IPv{family} address in {block.cidr} (none is known)"
        return () if peer.selectable or block.cidr.version != family else (unknown,)
    for excepted in block.excepted:
        if address in excepted:
            return (f"if {address} were not in the exception {excepted} of {block.cidr}",)
    return (f"if {address} were in {block.cidr}",) if block.cidr.version == family else ()


def _selected_misses(selected: Selected, endpoint: Endpoint) -> tuple[str, ...]:
    if not endpoint.selectable:
        return ()
    missed: list[str] = []
    if selected.namespace and endpoint.namespace != selected.namespace:
        missed.append(f"if {endpoint.ref} were in namespace {selected.namespace} (it has no namespaceSelector)")
    missed += _lacking(selected.namespaces, endpoint.namespace_labels, f"namespace {endpoint.namespace}")
    missed += _lacking(selected.pods, endpoint.labels, endpoint.ref)
    return tuple(missed)


def _lacking(selector: LabelSelector | None, labels: Mapping[str, str], owner: str) -> list[str]:
    requirements = selector.requirements if selector is not None else ()
    return [_lacks(each, labels, owner) for each in requirements if not LabelSelector((each,)).matches(labels)]


def _lacks(requirement: Requirement, labels: Mapping[str, str], owner: str) -> str:
    key, values = requirement.key, " or ".join(requirement.values)
    has = f"it is {labels[key]}" if labels.get(key) else "it is empty" if key in labels else "it has none"
    match requirement.operator:
        case "In":
            return f"if label {key} of {owner} were {values} ({has})"
        case "NotIn":
            return f"if label {key} of {owner} were not {values}"
        case "Exists":
            return f"if {owner} had a label {key}"
        case _:
            return f"if {owner} had no label {key} ({has})"
