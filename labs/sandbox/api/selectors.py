"""Label and field selectors of a list or watch.

Source: k8s.io/apimachinery `pkg/labels/selector.go`, `pkg/fields/selector.go`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from labs.sandbox.api.status import bad_request, show
from labs.sandbox.api.validate import common

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grader.ports import Manifest
    from labs.sandbox.api.kinds import Kind

_TOKEN = re.compile(r"\s*(==|!=|=|>|<|!|\(|\)|,|[^\s=!<>(),]+)")
_SYMBOLS = {"==", "!=", "=", ">", "<", "!", "(", ")", ","}
_OPERATORS = "in, notin, =, ==, !=, gt, lt"


def labels(text: str) -> Callable[[Mapping[str, str]], bool]:
    """A test of an object's labels.

    Raises:
        ApiError: 400, with the API's own message.
    """
    parser = _Parser(text)
    tests = parser.requirements()
    return lambda found: all(test(found) for test in tests)


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text.strip())
        self._at = 0

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def requirements(self) -> list[Callable[[Mapping[str, str]], bool]]:
        """All of them, separated by commas."""
        tests: list[Callable[[Mapping[str, str]], bool]] = []
        if not self._tokens:
            return tests
        while True:
            tests.append(self._requirement())
            word = self._take()
            if not word:
                return tests
            if word != ",":
                raise bad_request(f"found '{word}', expected: ',' or 'end of string'")
            if not self._peek():
                raise bad_request("found '', expected: identifier after ','")

    def _requirement(self) -> Callable[[Mapping[str, str]], bool]:
        negated = self._peek() == "!"
        if negated:
            self._take()
        key = self._take()
        if not key or key in _SYMBOLS:
            raise bad_request(
                f"unable to parse requirement: found '{key}', expected: !, identifier, or 'end of string'"
            )
        problems = common.qualified_name_problems(key)
        if problems:
            raise bad_request(f"unable to parse requirement: key: Invalid value: {show(key)}: {'; '.join(problems)}")
        if negated:
            return lambda found: key not in found
        if self._peek() in {"", ","}:
            return lambda found: key in found
        return self._compared(key, self._take())

    def _compared(self, key: str, operator: str) -> Callable[[Mapping[str, str]], bool]:
        if operator in {"in", "notin"}:
            values = self._set()
            if operator == "in":
                return lambda found: key in found and found[key] in values
            return lambda found: found.get(key) not in values
        if operator not in {"=", "==", "!=", ">", "<"}:
            raise bad_request(f"unable to parse requirement: found '{operator}', expected: {_OPERATORS}")
        value = "" if self._peek() in {"", ","} else self._take()
        if operator in {">", "<"}:
            return self._ordered(key, operator, value)
        self._check(value, 0)
        if operator == "!=":
            return lambda found: found.get(key) != value
        return lambda found: found.get(key) == value

    @staticmethod
    def _ordered(key: str, operator: str, value: str) -> Callable[[Mapping[str, str]], bool]:
        if not re.fullmatch(r"-?\d+", value):
            raise bad_request(
                f"unable to parse requirement: values[0]: Invalid value: {show(value)}: "
                "for 'Gt', 'Lt' operators, the value must be an integer"
            )
        limit = int(value)

        def test(found: Mapping[str, str]) -> bool:
            mine = found.get(key, "")
            if not re.fullmatch(r"-?\d+", mine):
                return False
            return int(mine) > limit if operator == ">" else int(mine) < limit

        return test

    def _set(self) -> set[str]:
        if (word := self._take()) != "(":
            raise bad_request(f"unable to parse requirement: found '{word}', expected: '('")
        values: set[str] = set()
        while True:
            word = self._take()
            if word == ")":
                return values
            if word == ",":
                continue
            if not word or word in _SYMBOLS:
                raise bad_request(f"unable to parse requirement: found '{word}', expected: ',' or ')'")
            self._check(word, len(values))
            values.add(word)
            if self._peek() not in {",", ")"}:
                raise bad_request(f"unable to parse requirement: found '{self._peek()}', expected: ',' or ')'")

    @staticmethod
    def _check(value: str, number: int) -> None:
        problems = common.label_value_problems(value)
        if problems:
            raise bad_request(
                f"unable to parse requirement: values[{number}]: Invalid value: {show(value)}: {'; '.join(problems)}"
            )


def fields(text: str, kind: Kind) -> Callable[[Manifest], bool]:
    """A test of an object's fields, of those that its kind lets one select by.

    Raises:
        ApiError: 400, with the API's own message.
    """
    wanted: list[tuple[str, str, bool]] = []
    for term in filter(None, text.split(",")):
        found = re.fullmatch(r"([^=!]+)(==|!=|=)(.*)", term)
        if found is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        name, operator, value = found.groups()
        if name not in {"metadata.name", "metadata.namespace"} and name not in kind.fields:
            if kind.fields:
                raise bad_request(f"field label not supported: {name}")
            raise bad_request(f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"')
        wanted.append((kind.fields.get(name, name), value, operator != "!="))
    return lambda manifest: all((_at(manifest, path) == value) == equal for path, value, equal in wanted)


def _at(manifest: Manifest, path: str) -> str:
    value: Any = manifest
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if value is None:
        return "false" if path in {"spec.unschedulable", "spec.hostNetwork"} else ""
    return str(value).lower() if isinstance(value, bool) else str(value)
