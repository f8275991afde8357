"""Quantities such as `500m` and `1Gi`, and the form in which the API keeps them.

Source: k8s.io/apimachinery `pkg/api/resource/quantity.go`.
"""

from __future__ import annotations

import re
from fractions import Fraction

PATTERN = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
"""Kubernetes' own expression, quoted in its message."""

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def parse(text: str) -> Fraction:
    """The amount.

    Raises:
        ValueError: with the API's message.
    """
    return _split(text)[0]


def canonical(text: str) -> str:
    """The same amount as the API writes it: `0.1` becomes `100m`, `0.5Gi` becomes `512Mi`.

    Raises:
        ValueError: with the API's message.
    """
    value, suffix, exponent = _split(text)
    if suffix in _BINARY and value.denominator == 1 and abs(value) >= 1024:
        for name, power in reversed(_BINARY.items()):
            if value % 1024**power == 0:
                return f"{int(value / 1024**power)}{name}"
        return str(int(value))
    if value == 0:
        return "0"
    for name, power in reversed(_DECIMAL.items()):
        amount = value / Fraction(10) ** power
        if amount.denominator == 1:
            return f"{int(amount)}e{power}" if exponent and power else f"{int(amount)}{name}"
    return f"{-(-value * 10**9 // 1)}n"


def _split(text: str) -> tuple[Fraction, str, bool]:
    found = _FORM.fullmatch(text)
    if found is None or len(text) > 64:
        raise ValueError(f"quantities must match the regular expression '{PATTERN}'")
    number, exponent, suffix = found.group(1), found.group(2) or "", found.group(3) or ""
    power = int(exponent[1:] or "0") if exponent else 0
    if abs(power) > 30:
        raise ValueError(f"quantities must match the regular expression '{PATTERN}'")
    value = Fraction(number) * Fraction(10) ** power
    if suffix in _BINARY:
        value *= 1024 ** _BINARY[suffix]
    else:
        value *= Fraction(10) ** _DECIMAL[suffix]
    return value, suffix, bool(exponent)
