"""Reading fields of untrusted JSON: typed getters that collect problems under the field's path.

Every getter returns a usable value of the asked type, so that one pass finds everything that is wrong. Wording follows
apimachinery `util/validation/field` and `util/validation`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeGuard, TypeVar

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_LABEL_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\Z")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?\Z")
_PORT_NAME = re.compile(r"[-a-z0-9]+\Z")

BAD_NAME = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character"
)
PROTOCOLS = ("TCP", "UDP", "SCTP")
BAD_PORT = "must be between 1 and 65535, inclusive"


T = TypeVar("T")
Known = dict[tuple[str, int], tuple[object, Any]]
"""By what a part is and its identity: the part, which must live as long, and what was read of it."""


class Problems:
    """What is wrong with one object, in the order of discovery.

    `lenient` takes what no API server would although its meaning is clear: names, and selectors that must stand alone.
    """

    def __init__(self, *, lenient: bool = False, known: Known | None = None) -> None:
        self.found: list[str] = []
        self.lenient = lenient
        self._known: Known = {} if known is None else known

    def once(self, what: str, value: object, read: Callable[[], T]) -> T:
        """Return what `read` makes of a value; of one that many objects share, and that nothing is wrong with, once.

        Objects of one template hold the very same labels and containers where a file was read with shared parts.
        """
        if not isinstance(value, dict | list):
            return read()
        known = self._known.get((what, id(value)))
        if known is None:
            before = len(self.found)
            result = read()
            if len(self.found) == before:
                self._known[what, id(value)] = value, result
            return result
        found: T = known[1]
        return found

    def invalid(self, path: str, value: object, why: str) -> None:
        """Note a value that the API refuses."""
        self.found.append(f"{path}: Invalid value: {quote(value)}: {why}")

    def required(self, path: str, why: str = "") -> None:
        """Note a missing value."""
        self.found.append(f"{path}: Required value" + (f": {why}" if why else ""))

    def forbidden(self, path: str, why: str) -> None:
        """Note a value that may not be given here."""
        self.found.append(f"{path}: Forbidden: {why}")

    def unsupported(self, path: str, value: object, supported: Sequence[str]) -> None:
        """Note a value outside its enumeration."""
        choices = ", ".join(f'"{choice}"' for choice in supported)
        self.found.append(f"{path}: Unsupported value: {quote(value)}: supported values: {choices}")

    def unknown(self, path: str, value: Mapping[str, Any], known: frozenset[str]) -> None:
        """Note every key that the API does not know: a typing error must not widen or narrow a policy unseen."""
        self.found.extend(f'unknown field "{path}.{key}"' for key in value if key not in known)

    def mapping(self, value: object, path: str) -> Mapping[str, Any]:
        """Return a mapping; null is empty."""
        if isinstance(value, dict) or (value is not None and isinstance(value, Mapping)):
            return value
        if value is not None:
            self.invalid(path, value, "must be a mapping of fields")
        return {}

    def sequence(self, value: object, path: str) -> Sequence[Any]:
        """Return a list; null is empty."""
        if isinstance(value, list):
            return value
        if value is not None:
            self.invalid(path, value, "must be a list")
        return ()

    def text(self, value: object, path: str, default: str = "") -> str:
        """Return a string; null is the default."""
        if isinstance(value, str):
            return value
        if value is not None:
            self.invalid(path, value, "must be a string (put it in quotes)")
        return default

    def flag(self, value: object, path: str) -> bool:
        """Return a truth value; null is false."""
        if isinstance(value, bool):
            return value
        if value is not None:
            self.invalid(path, value, "must be true or false")
        return False

    def count(self, value: object, path: str, default: int) -> int:
        """Return a number that is not negative; null is the default."""
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        self.invalid(path, value, "must be a number greater than or equal to 0")
        return default

    def port(self, value: object, path: str) -> int:
        """Return a port number; 0 when it is none."""
        if is_number(value) and 1 <= value <= 65535:
            return value
        self.invalid(path, value, BAD_PORT)
        return 0

    def port_name(self, value: str, path: str) -> str:
        """Return an IANA_SVC_NAME (`validation.IsValidPortName`)."""
        if len(value) > 15:
            self.invalid(path, value, "must be no more than 15 characters")
        elif not _PORT_NAME.match(value):
            self.invalid(path, value, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
        elif not any(character.isalpha() for character in value):
            self.invalid(path, value, "must contain at least one letter (a-z)")
        elif "--" in value:
            self.invalid(path, value, "must not contain consecutive hyphens")
        elif value.startswith("-") or value.endswith("-"):
            self.invalid(path, value, "must not begin or end with a hyphen")
        return value

    def protocol(self, value: object, path: str) -> str:
        """Return TCP, UDP or SCTP; TCP when it is not given."""
        if value is None or value == "":
            return "TCP"
        if value not in PROTOCOLS:
            self.unsupported(path, value, PROTOCOLS)
            return "TCP"
        return str(value)

    def name(self, value: object, path: str) -> str:
        """Return an object's name (`validation.IsDNS1123Subdomain`)."""
        name = self.text(value, path)
        if not name:
            if value is None or value == "":
                self.required(path, "name or generateName is required")
        elif not self.lenient and not valid_name(name):
            self.invalid(path, name, BAD_NAME)
        return name

    def labels(self, value: object, path: str) -> dict[str, str]:
        """Return labels whose keys and values the API would take."""
        labels: dict[str, str] = {}
        for key, entry in self.mapping(value, path).items():
            if not isinstance(key, str) or (why := bad_label_key(key)):
                self.invalid(path, key, why if isinstance(key, str) else "must be a string (put it in quotes)")
                continue
            text = self.text(entry, f"{path}.{key}")
            if why := bad_label_value(text):
                self.invalid(path, text, why)
            labels[key] = text
        return labels


def quote(value: object) -> str:
    """Return a value as JSON, cut where it would fill the screen."""
    text = json.dumps(value, default=str, ensure_ascii=True)
    return text if len(text) <= 200 else text[:197] + "..."


def is_number(value: object) -> TypeGuard[int]:
    """Tell whether it is an integer; booleans are none, though Python counts them as such."""
    return isinstance(value, int) and not isinstance(value, bool)


@lru_cache(maxsize=8192)
def valid_name(name: str) -> bool:
    """Tell whether it is a DNS-1123 subdomain."""
    return len(name) <= 253 and _NAME.match(name) is not None


@lru_cache(maxsize=8192)
def bad_label_key(key: str) -> str:
    """Say what is wrong with a label's key (`validation.IsQualifiedName`); empty when nothing is."""
    prefix, slash, name = key.rpartition("/")
    if slash and not valid_name(prefix):
        return f"prefix part {BAD_NAME}"
    if not name:
        return "name part must be non-empty"
    if len(name) > 63:
        return "name part must be no more than 63 bytes"
    if not _LABEL_NAME.match(name):
        return (
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character"
        )
    return ""


@lru_cache(maxsize=8192)
def bad_label_value(value: str) -> str:
    """Say what is wrong with a label's value (`validation.IsValidLabelValue`); empty when nothing is."""
    if len(value) > 63:
        return "must be no more than 63 bytes"
    if not _LABEL_VALUE.match(value):
        return (
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
            "start and end with an alphanumeric character"
        )
    return ""
