"""What a plain YAML scalar means, as Kubernetes' own reader decides it.

Source: `sigs.k8s.io/yaml/goyaml.v2/resolve.go`, the reader inside kubectl. It differs from PyYAML's YAML 1.1 in ways
that matter here: `20:21` is a string (not 1221), timestamps are strings, `1e3` is a number.
"""

from __future__ import annotations

import re
from functools import lru_cache

TRUE = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
FALSE = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
NULL = frozenset({"", "~", "null", "Null", "NULL"})
WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(TRUE, True),
    **dict.fromkeys(FALSE, False),
    **dict.fromkeys(NULL, None),
}
STARTS_NUMBER = frozenset("+-.0123456789")
INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")
BASED = re.compile(r"([-+]?)0(b[01_]+|o?[0-7_]+|x[0-9a-fA-F_]+)")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
LONGEST_NUMBER = 64
"""Longer digit strings are text: nothing in a manifest counts that far, and converting them costs quadratic time."""

Scalar = str | int | float | bool | None


@lru_cache(maxsize=8192)
def resolve(text: str) -> Scalar:
    """Return the value of a plain (unquoted, untagged) scalar."""
    if text in WORDS:
        return WORDS[text]
    if text[0] not in STARTS_NUMBER or len(text) > LONGEST_NUMBER:
        return text
    if INTEGER.fullmatch(text):
        return int(text.replace("_", ""))
    if based := BASED.fullmatch(text):
        sign, digits = based.group(1), based.group(2)
        prefix = digits[0] if digits[0] in "box" else "o"
        number = digits.removeprefix(prefix).replace("_", "")
        return int(f"{sign}{number}", {"b": 2, "o": 8, "x": 16}[prefix]) if number else text
    if FLOAT.fullmatch(text):
        return float(text)
    return text


def tagged(tag: str, text: str) -> Scalar:
    """Return the value of a scalar with one of YAML's own tags (`!!str 80`).

    Raises:
        ValueError: the tag is not one of JSON's types, or the text is not of that type.
    """
    kind = tag.removeprefix("tag:yaml.org,2002:")
    if kind == "str":
        return text
    value = resolve(text)
    match kind:
        case "int" if isinstance(value, int) and not isinstance(value, bool):
            return value
        case "float" if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        case "bool" if isinstance(value, bool):
            return value
        case "null" if value is None:
            return None
        case "int" | "float" | "bool" | "null":
            raise ValueError(f"{text!r} is not of type {kind}")
    raise ValueError(f"the tag {tag} is not allowed")
