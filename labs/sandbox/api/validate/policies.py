"""NetworkPolicy. Source: `pkg/apis/networking/validation/validation.go`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labs.sandbox.api.validate import common

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.sandbox.api.status import FieldErrors

_DIRECTIONS = ("Ingress", "Egress")


def network_policy(errors: FieldErrors, manifest: Manifest) -> None:
    """Check a policy with its defaults."""
    spec = manifest["spec"]
    common.selector(errors, "spec.podSelector", spec["podSelector"])
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for n, rule in enumerate(spec.get(direction, ())):
            at = f"spec.{direction}[{n}]"
            for m, port in enumerate(rule.get("ports", ())):
                _port(errors, f"{at}.ports[{m}]", port)
            for m, peer in enumerate(rule.get(peers, ())):
                _peer(errors, f"{at}.{peers}[{m}]", peer)
    types = spec["policyTypes"]
    if len(types) > len(_DIRECTIONS):
        errors.invalid("spec.policyTypes", types, "may not specify more than two policyTypes")
        return
    for n, direction in enumerate(types):
        common.enumeration(errors, f"spec.policyTypes[{n}]", direction, _DIRECTIONS)


def _port(errors: FieldErrors, at: str, port: dict[str, Any]) -> None:
    common.enumeration(errors, f"{at}.protocol", port["protocol"], ("TCP", "UDP", "SCTP"))
    number, end = port.get("port"), port.get("endPort")
    if number is None:
        if end is not None:
            errors.invalid(f"{at}.endPort", end, "may not be specified when `port` is not specified")
        return
    if isinstance(number, int):
        common.port_number(errors, f"{at}.port", number)
        if end is not None:
            if end < number:
                errors.invalid(f"{at}.endPort", end, "must be greater than or equal to `port`")
            common.port_number(errors, f"{at}.endPort", end)
        return
    if end is not None:
        errors.invalid(f"{at}.endPort", end, "may not be specified when `port` is non-numeric")
    common.port_reference(errors, f"{at}.port", number)


def _peer(errors: FieldErrors, at: str, peer: dict[str, Any]) -> None:
    given = 0
    for field in ("podSelector", "namespaceSelector"):
        if field in peer:
            given += 1
            common.selector(errors, f"{at}.{field}", peer[field])
    if "ipBlock" in peer:
        if given:
            errors.forbidden(at, "may not specify both ipBlock and another peer")
        given += 1
        _block(errors, f"{at}.ipBlock", peer["ipBlock"])
    if not given:
        errors.required(at, "must specify a peer")


def _block(errors: FieldErrors, at: str, block: dict[str, Any]) -> None:
    cidr = block.get("cidr", "")
    if not cidr:
        errors.required(f"{at}.cidr")
        return
    problems = common.cidr_problems(cidr)
    for problem in problems:
        errors.invalid(f"{at}.cidr", cidr, problem)
    if problems == [common.NOT_A_CIDR]:
        return
    for n, hole in enumerate(block.get("except", ())):
        wrong = common.cidr_problems(hole)
        for problem in wrong:
            errors.invalid(f"{at}.except[{n}]", hole, problem)
        if wrong != [common.NOT_A_CIDR] and not common.is_subset(hole, cidr):
            errors.invalid(f"{at}.except[{n}]", hole, "must be a strict subset of `cidr`")
