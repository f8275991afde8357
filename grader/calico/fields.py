"""Values that only Calico's API has: selectors, protocols, ports, ranges, orders. Wording of errors as in Calico."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING

from grader.calico.model import Accounts, PortMatch
from grader.calico.selectors import SelectorError, parse_selector
from grader.kube.fields import is_number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from grader.calico.selectors import Expression
    from grader.kube.fields import Problems
    from grader.kube.model import Network

PROTOCOL_NUMBERS = {"ICMP": 1, "TCP": 6, "UDP": 17, "ICMPv6": 58, "SCTP": 132, "UDPLite": 136}
_NAMES = {str(number): name for name, number in PROTOCOL_NUMBERS.items()}
_PORT_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}\Z")
"""Source: Calico's API, `lib/numorstring/port.go`."""
WITH_PORTS = ("TCP", "UDP", "SCTP")


def read_expression(value: object, path: str, problems: Problems) -> Expression | None:
    """Return a selector; None where none is given (an empty text is none)."""
    text = problems.text(value, path)
    if not text.strip(" \t"):
        return None
    try:
        return parse_selector(text)
    except SelectorError as error:
        problems.invalid(path, value, f"invalid selector: {error}")
        return None


def read_accounts(value: object, path: str, problems: Problems) -> Accounts | None:
    """Return the service accounts of one side; None where the field is absent."""
    if value is None:
        return None
    fields = problems.mapping(value, path)
    problems.unknown(path, fields, frozenset({"names", "selector"}))
    listed = problems.sequence(fields.get("names"), f"{path}.names")
    names = tuple(problems.name(entry, f"{path}.names[{index}]") for index, entry in enumerate(listed))
    return Accounts(names, read_expression(fields.get("selector"), f"{path}.selector", problems))


def read_nets(value: object, path: str, problems: Problems) -> tuple[Network, ...]:
    """Return ranges; a bare address is a range of one."""
    found = []
    for index, entry in enumerate(problems.sequence(value, path)):
        try:
            found.append(ip_network(entry if isinstance(entry, str) else "", strict=False))
        except ValueError:
            problems.invalid(f"{path}[{index}]", entry, "must be an IP address or a CIDR")
    return tuple(found)


def read_protocol(value: object, path: str, problems: Problems) -> str:
    """Return a protocol's name, or its number in digits where it has no name here; empty where none is given."""
    if value is None:
        return ""
    text = str(value)
    if text in PROTOCOL_NUMBERS:
        return text
    if _is_digits(text) and 1 <= (number := _number(text)) <= 255:
        return _NAMES.get(str(number), str(number))
    problems.invalid(path, value, f"must be one of {', '.join(PROTOCOL_NUMBERS)}, or a number from 1 to 255")
    return ""


def wire_protocol(protocol: str, family: int) -> str:
    """Return the protocol of a flow as rules name it: `1` is ICMP, and ICMP between IPv6 addresses is ICMPv6."""
    named = _NAMES.get(protocol)
    if named is not None:
        return named
    if protocol.upper() in ("ICMP", "ICMPV6"):
        return "ICMPv6" if family == 6 else "ICMP"
    return "UDPLite" if protocol.upper() == "UDPLITE" else protocol


def read_ports(value: object, path: str, problems: Problems) -> tuple[PortMatch, ...]:
    """Return ports: numbers, ranges `"low:high"`, names."""
    listed = enumerate(problems.sequence(value, path))
    return tuple(_read_port(entry, f"{path}[{index}]", problems) for index, entry in listed)


def _read_port(value: object, path: str, problems: Problems) -> PortMatch:
    if is_number(value):
        low = high = value
    elif isinstance(value, str):
        first, colon, last = value.partition(":")
        if not _is_digits(first) or (colon and not _is_digits(last)):
            if colon:
                problems.invalid(path, value, "a range is two numbers, written in quotes: '1000:2000'")
            elif not _PORT_NAME.match(value):
                problems.invalid(path, value, "a port's name is 1 to 128 letters, digits, '_', '.' or '-'")
            return PortMatch(name=value)
        low, high = _number(first), _number(last if colon else first)
    else:
        problems.invalid(path, value, "must be a port number, a range in quotes, or a port's name")
        return PortMatch()
    first_port = 0 if problems.lenient else 1
    if not (first_port <= low <= 65535 and first_port <= high <= 65535):
        problems.invalid(path, value, "port numbers are from 1 to 65535")
    elif low > high:
        problems.invalid(path, value, "minimum port number must not exceed maximum port number")
    return PortMatch(low, high)


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _number(digits: str) -> int:
    """Digits as a number; of too many, one that is no port's and no protocol's."""
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) <= 5 else 65536


def read_icmp(value: object, path: str, problems: Problems) -> tuple[int, int | None] | None:
    """Return ICMP type and code; None where the field is absent or says nothing."""
    fields: Mapping[str, Any] = problems.mapping(value, path)
    problems.unknown(path, fields, frozenset({"type", "code"}))
    kind, code = fields.get("type"), fields.get("code")
    for name, number, most in (("type", kind, 254), ("code", code, 255)):
        if number is not None and not (is_number(number) and 0 <= number <= most):
            problems.invalid(f"{path}.{name}", number, f"must be a number from 0 to {most}")
            return None
    if kind is None:
        if code is not None:
            problems.invalid(f"{path}.code", code, "ICMP code specified without an ICMP type")
        return None
    return int(kind), int(code) if code is not None else None


def read_order(value: object, path: str, problems: Problems) -> float | None:
    """Return an order; None where there is none: it sorts last."""
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    problems.invalid(path, value, "must be a number")
    return None
