"""Rules that many kinds share: names, labels, selectors, ports, addresses."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from labs.sandbox.api.status import FieldErrors

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_NAME_PART = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

NOT_A_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    f"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
NOT_A_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
NOT_A_NAME_PART = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    f"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME_PART}')"
)
NOT_A_QUALIFIED_NAME = (
    "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    f"'{_NAME_PART}') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
)
NOT_A_LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
NOT_A_CONFIG_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
NOT_A_PORT = "must be between 1 and 65535, inclusive"
NOT_AN_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
NOT_A_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
NEGATIVE = "must be greater than or equal to 0"

PROTOCOLS = ("SCTP", "TCP", "UDP")


def label_problems(text: str) -> list[str]:
    """What is wrong with a DNS label (RFC 1123)."""
    problems = ["must be no more than 63 characters"] if len(text) > 63 else []
    if "." in text and re.fullmatch(_SUBDOMAIN, text):
        return [*problems, "must not contain dots"]
    return problems if re.fullmatch(_LABEL, text) else [*problems, NOT_A_LABEL]


def subdomain_problems(text: str) -> list[str]:
    """What is wrong with a DNS subdomain (RFC 1123)."""
    problems = ["must be no more than 253 characters"] if len(text) > 253 else []
    return problems if re.fullmatch(_SUBDOMAIN, text) else [*problems, NOT_A_SUBDOMAIN]


def qualified_name_problems(text: str) -> list[str]:
    """What is wrong with a label's or annotation's key, a prefix and a name."""
    prefix, slash, name = text.rpartition("/")
    problems = []
    if slash:
        if not prefix:
            problems.append("prefix part must be non-empty")
        else:
            problems += [f"prefix part {problem}" for problem in subdomain_problems(prefix)]
    if "/" in prefix:
        return [NOT_A_QUALIFIED_NAME]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append("name part must be no more than 63 bytes")
    if not re.fullmatch(_NAME_PART, name):
        problems.append(NOT_A_NAME_PART)
    return problems


def label_value_problems(text: str) -> list[str]:
    """What is wrong with a label's value."""
    problems = ["must be no more than 63 bytes"] if len(text) > 63 else []
    return problems if re.fullmatch(f"({_NAME_PART})?", text) else [*problems, NOT_A_LABEL_VALUE]


def port_name_problems(text: str) -> list[str]:
    """What is wrong with a port's name (IANA service name)."""
    problems = ["must be no more than 15 characters"] if len(text) > 15 else []
    if not re.fullmatch("[-a-z0-9]+", text):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text):
        problems.append("must contain at least one letter (a-z)")
    if "--" in text:
        problems.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def cidr_problems(text: str) -> list[str]:
    """What is wrong with a CIDR: not one, host bits, leading zeros, or an IPv4-mapped address."""
    address, slash, length = text.partition("/")
    if "." in address and (re.search(r"(^|\.)0\d", address) or re.fullmatch(r"0\d+", length)):
        unpadded = ".".join(part.lstrip("0") or "0" for part in address.split("."))
        if _network(f"{unpadded}/{length.lstrip('0') or '0'}") is not None:
            return ["must not have leading 0s in IP or prefix length"]
        return [NOT_A_CIDR]
    network = _network(text) if slash and length.isascii() and length.isdigit() else None
    if network is None:
        return [NOT_A_CIDR]
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped is not None:
        return ["must not have an IPv4-mapped IPv6 address"]
    if network.network_address != ipaddress.ip_address(address):
        return ["must not have bits set beyond the prefix length"]
    return []


def address_problems(text: str) -> list[str]:
    """What is wrong with an IP address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        padded = re.fullmatch(r"\d+(\.\d+){3}", text)
        return ["must not have leading 0s"] if padded and re.search(r"(^|\.)0\d", text) else [NOT_AN_ADDRESS]
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return ["must not be an IPv4-mapped IPv6 address"]
    return []


def is_subset(inner: str, outer: str) -> bool:
    """Whether one CIDR lies strictly inside another."""
    small, large = _network(inner), _network(outer)
    if small is None or large is None or small.version != large.version:
        return False
    return small.prefixlen > large.prefixlen and small.subnet_of(large)  # type: ignore[arg-type]  # same version


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def labels(errors: FieldErrors, field: str, found: Mapping[str, str]) -> None:
    """Check a map of labels: every key and value."""
    for key, value in found.items():
        for problem in qualified_name_problems(key):
            errors.invalid(field, key, problem)
        for problem in label_value_problems(value):
            errors.invalid(field, value, problem)


def selector(errors: FieldErrors, field: str, found: Mapping[str, Any]) -> None:
    """Check a label selector."""
    labels(errors, f"{field}.matchLabels", found.get("matchLabels", {}))
    for n, term in enumerate(found.get("matchExpressions", ())):
        at = f"{field}.matchExpressions[{n}]"
        operator = term.get("operator", "")
        if operator in {"In", "NotIn"}:
            if not term.get("values"):
                errors.required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in {"Exists", "DoesNotExist"}:
            if term.get("values"):
                errors.forbidden(f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        else:
            errors.invalid(f"{at}.operator", operator, "not a valid selector operator")
        for problem in qualified_name_problems(term.get("key", "")):
            errors.invalid(f"{at}.key", term.get("key", ""), problem)
        for m, value in enumerate(term.get("values", ())):
            for problem in label_value_problems(value):
                errors.invalid(f"{at}.values[{m}]", value, problem)


def enumeration(errors: FieldErrors, field: str, value: str, supported: Iterable[str]) -> None:
    """Check that a value is one of a list; the message lists them in the given order."""
    listed = tuple(supported)
    if value not in listed:
        errors.unsupported(field, value, listed)


def port_number(errors: FieldErrors, field: str, value: object) -> None:
    """Check a port's number."""
    if not isinstance(value, int) or not 1 <= value <= 65535:
        errors.invalid(field, value, NOT_A_PORT)


def port_reference(errors: FieldErrors, field: str, value: object) -> None:
    """Check a port given as a number or as a name."""
    if isinstance(value, str):
        for problem in port_name_problems(value):
            errors.invalid(field, value, problem)
    else:
        port_number(errors, field, value)


def matches(found: Mapping[str, Any], labels_of: Mapping[str, str]) -> bool:
    """Whether a label selector selects these labels (an empty one selects all)."""
    if any(labels_of.get(key) != value for key, value in found.get("matchLabels", {}).items()):
        return False
    for term in found.get("matchExpressions", ()):
        key, operator, values = term["key"], term["operator"], term.get("values", ())
        has = key in labels_of
        held = {
            "In": has and labels_of.get(key) in values,
            "NotIn": not has or labels_of.get(key) not in values,
            "Exists": has,
            "DoesNotExist": not has,
        }
        if not held.get(operator, False):
            return False
    return True
