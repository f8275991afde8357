"""Calico's selector language: text to an expression that matches labels.

`!` binds to the single next operation, then `&&`, then `||`. White space between tokens is space and tab only; strings
stand in single or double quotes and have no escapes. Source: libcalico-go `lib/selector/tokenizer`, `…/parser`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DEPTH = 200
"""Nested brackets in one selector; far beyond what people write, far below what would exhaust the stack."""

_SPACE = r"[ \t\n\f\r]*"
"""Inside a token, where Calico takes more kinds of white space than between two."""
_TOKEN = re.compile(
    r"(?P<string>\"[^\"]*\"|'[^']*')|(?P<sign>==|!=|&&|\|\||[(){},!])"
    rf"|(?P<has>has\({_SPACE}(?P<key>[a-zA-Z0-9_./-]{{1,512}}){_SPACE}\))|(?P<call>(?:all|global)\({_SPACE}\))"
    r"|(?P<label>[a-zA-Z0-9_./-]{1,512})"
)
_OPERATOR = re.compile(rf"contains|starts{_SPACE}with|ends{_SPACE}with|not{_SPACE}in|in")
_NEGATIVE = ("!=", "not in")


class SelectorError(ValueError):
    """A selector that is none.

    Attributes:
        position: of the first character that cannot be there, from 1.
    """

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"{message} at position {position}")
        self.position = position


@dataclass(frozen=True, slots=True)
class Compare:
    """One operation on a label: `operator` is ==, !=, in, not in, contains, starts with, ends with or has."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether it holds. Only `!=` and `not in` hold where the label is absent."""
        value = labels.get(self.key)
        if value is None:
            return self.operator in _NEGATIVE
        match self.operator:
            case "has":
                return True
            case "contains":
                return self.values[0] in value
            case "starts with":
                return value.startswith(self.values[0])
            case "ends with":
                return value.endswith(self.values[0])
            case _:
                return (value in self.values) is (self.operator not in _NEGATIVE)

    def __str__(self) -> str:
        if self.operator == "has":
            return f"has({self.key})"
        listed = [f"'{value}'" if '"' in value else f'"{value}"' for value in self.values]
        if self.operator in ("in", "not in"):
            return f"{self.key} {self.operator} {{{', '.join(listed)}}}"
        return f"{self.key} {self.operator} {listed[0]}"


@dataclass(frozen=True, slots=True)
class Everything:
    """`all()`, or `global()`: as a selector of labels both match whatever there is."""

    word: str = "all()"

    def matches(self, labels: Mapping[str, str]) -> bool:  # noqa: ARG002 - it asks for no label
        """Return True."""
        return True

    def __str__(self) -> str:
        return self.word


@dataclass(frozen=True, slots=True)
class Negation:
    """`!` before an operation."""

    operand: Expression

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether the operand does not hold."""
        return not self.operand.matches(labels)

    def __str__(self) -> str:
        return f"!{self.operand}"


@dataclass(frozen=True, slots=True)
class Junction:
    """Operands joined by `&&` (all must hold) or `||` (one must)."""

    word: str
    operands: tuple[Expression, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether all, or any, of the operands hold."""
        held = (operand.matches(labels) for operand in self.operands)
        return all(held) if self.word == "&&" else any(held)

    def __str__(self) -> str:
        return f"({f' {self.word} '.join(map(str, self.operands))})"


Expression = Compare | Everything | Negation | Junction


def both(first: Expression | None, second: Expression | None) -> Expression | None:
    """Return what holds where both do; None says nothing."""
    if first is None or second is None:
        return first or second
    return Junction("&&", (first, second))


def uses_global(expression: Expression) -> bool:
    """Tell whether `global()` occurs anywhere."""
    match expression:
        case Everything(word):
            return word == "global()"
        case Negation(operand):
            return uses_global(operand)
        case Junction(_, operands):
            return any(map(uses_global, operands))
        case _:
            return False


@lru_cache(maxsize=4096)
def parse_selector(text: str) -> Expression:
    """Return the expression that a selector is; an empty one is `all()`.

    Raises:
        SelectorError: the text is no selector.
    """
    return _Parser(text).whole()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    value: str
    position: int


class _Parser:
    """A selector's tokens, read from left to right."""

    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at = 0
        self.depth = 0

    def whole(self) -> Expression:
        if self.tokens[0].kind == "end":
            return Everything()
        expression = self.either()
        if self.next.kind != "end":
            raise self.unexpected("expected && or ||")
        return expression

    @property
    def next(self) -> _Token:
        return self.tokens[self.at]

    def unexpected(self, expected: str) -> SelectorError:
        token = self.next
        found = "the end" if token.kind == "end" else repr(token.value)
        return SelectorError(f"{expected}, found {found}", token.position)

    def taken(self, kind: str) -> _Token | None:
        token = self.next
        if token.kind != kind:
            return None
        self.at += 1
        return token

    def sign(self, value: str) -> _Token | None:
        return self.taken("sign") if self.next.value == value else None

    def either(self) -> Expression:
        operands = [self.every()]
        while self.sign("||"):
            operands.append(self.every())
        return operands[0] if len(operands) == 1 else Junction("||", tuple(operands))

    def every(self) -> Expression:
        operands = [self.operation()]
        while self.sign("&&"):
            operands.append(self.operation())
        return operands[0] if len(operands) == 1 else Junction("&&", tuple(operands))

    def operation(self) -> Expression:
        negated = False
        while self.sign("!"):
            negated = not negated
        found = self.plain()
        return Negation(found) if negated else found

    def plain(self) -> Expression:
        if token := self.taken("has"):
            return Compare(token.value, "has")
        if token := self.taken("call"):
            return Everything(token.value)
        if token := self.taken("label"):
            return self.comparison(token.value)
        if self.sign("("):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise self.unexpected("too many nested brackets")
            found = self.either()
            if not self.sign(")"):
                raise self.unexpected("expected )")
            self.depth -= 1
            return found
        raise self.unexpected("expected a label, has(), all(), ! or (")

    def comparison(self, key: str) -> Expression:
        for operator in ("==", "!="):
            if self.sign(operator):
                return Compare(key, operator, (self.string(),))
        token = self.taken("operator")
        if token is None:
            raise self.unexpected(f"expected an operator after label {key!r}")
        if token.value in ("in", "not in"):
            return Compare(key, token.value, self.values())
        return Compare(key, token.value, (self.string(),))

    def string(self) -> str:
        token = self.taken("string")
        if token is None:
            raise self.unexpected("expected a string in quotes")
        return token.value

    def values(self) -> tuple[str, ...]:
        """A set of strings; a comma may stand after the last."""
        if not self.sign("{"):
            raise self.unexpected("expected {")
        values: set[str] = set()
        while token := self.taken("string"):
            values.add(token.value)
            if not self.sign(","):
                break
        if not self.sign("}"):
            raise self.unexpected("expected }")
        return tuple(sorted(values))


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while True:
        while at < len(text) and text[at] in " \t":
            at += 1
        if at == len(text):
            return [*found, _Token("end", "", at + 1)]
        if found and found[-1].kind == "label" and (word := _OPERATOR.match(text, at)):
            # `not in` may be written with any white space between, or none.
            name = re.sub(rf"(starts|ends|not){_SPACE}", r"\1 ", word.group())
            found.append(_Token("operator", name, at + 1))
            at = word.end()
            continue
        match = _TOKEN.match(text, at)
        if match is None:
            why = "a string without its closing quote" if text[at] in "\"'" else f"unexpected {text[at]!r}"
            raise SelectorError(why, at + 1)
        kind = match.lastgroup or ""
        value = match.group()
        if match["has"]:
            kind, value = "has", match["key"]
        elif kind == "string":
            value = value[1:-1]
        elif kind == "call":
            value = "all()" if value.startswith("all") else "global()"
        found.append(_Token(kind, value, at + 1))
        at = match.end()
