"""Mutants of a module, as mutmut's operators make them, ready to be swapped into the running module.

mutmut itself runs pytest anew for each mutant, a second or more; here a mutant is the code of one function, put in its
place after a fork (see `run.py`). mutmut leaves out decorated functions; properties and cached functions are decorated
as well, and are mutated here.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import types
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import libcst
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOT_TOUCHED = ("len", "isinstance")
"""Calls that mutmut leaves alone too: what comes of them is nearly always a crash."""


@dataclass(frozen=True)
class Mutant:
    """One change of a module's text.

    Attributes:
        name: module, function and number.
        lines: of the statement that changed, in the unchanged text: a test that runs none of them cannot tell.
        change: what stood there and what stands there now.
    """

    name: str
    module: str
    function: str
    start: int
    old: str
    new: str
    line: int
    lines: frozenset[int]

    @property
    def change(self) -> str:
        """What stood there and what stands there now."""
        return f"{self.module}:{self.line} {self.function}: {_short(self.old)}  =>  {_short(self.new)}"

    def text(self, source: bytes) -> bytes:
        """Return the module's text with the change."""
        old = self.old.encode()
        if source[self.start : self.start + len(old)] != old:
            raise ValueError(f"{self.name} is of another text")
        return source[: self.start] + self.new.encode() + source[self.start + len(old) :]


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 110 else words[:107] + "..."


def mutants(file: Path, module: str) -> list[Mutant]:
    """Return every mutant of a module that Python can read."""
    source = file.read_bytes()
    wrapper = MetadataWrapper(libcst.parse_module(source))
    finder = _Finder(wrapper.module, source)
    wrapper.visit(finder)
    statements = _statements(source)
    made: list[Mutant] = []
    seen: set[tuple[int, str, str]] = set()
    for function, start, line, old, new in finder.found:
        if (start, old, new) in seen or old == new:
            continue
        seen.add((start, old, new))
        number = sum(each.function == function for each in made) + 1
        mutant = Mutant(
            f"{module}.{function}:{number}", module, function, start, old, new, line, _lines(statements, line)
        )
        try:
            ast.parse(mutant.text(source))
        except SyntaxError:
            continue
        made.append(mutant)
    return made


class _Finder(libcst.CSTVisitor):
    METADATA_DEPENDENCIES = (ByteSpanPositionProvider, PositionProvider)

    def __init__(self, module: libcst.Module, source: bytes) -> None:
        super().__init__()
        self.module, self.source = module, source
        self.scopes: list[tuple[str, bool]] = []
        self.found: list[tuple[str, int, int, str, str]] = []

    def on_visit(self, node: libcst.CSTNode) -> bool:
        match node:
            case libcst.Annotation() | libcst.Decorator():
                return False
            case libcst.Call(func=libcst.Name(value)) if value in NOT_TOUCHED:
                return False
            case libcst.ClassDef() | libcst.FunctionDef():
                self.scopes.append((node.name.value, isinstance(node, libcst.FunctionDef)))
        if any(is_function for _, is_function in self.scopes):
            self._mutate(node)
        return True

    def on_leave(self, original_node: libcst.CSTNode) -> None:
        if isinstance(original_node, libcst.ClassDef | libcst.FunctionDef):
            self.scopes.pop()

    def _mutate(self, node: libcst.CSTNode) -> None:
        for kind, operator in mutation_operators:
            if not isinstance(node, kind):
                continue
            for changed in operator(node):
                span = self.get_metadata(ByteSpanPositionProvider, node)
                old = self.source[span.start : span.start + span.length].decode()
                function = ".".join(name for name, _ in self.scopes)
                line = self.get_metadata(PositionProvider, node).start.line
                if isinstance(node, libcst.Match):
                    old, new = self._whole(node, changed)
                    self.found.append((function, 0, line, old, new))
                else:
                    self.found.append((function, span.start, line, old, self.module.code_for_node(changed)))

    def _whole(self, node: libcst.CSTNode, changed: libcst.CSTNode) -> tuple[str, str]:
        """Text and changed text of the module: what has lines of its own is indented only there."""
        new = self.module.deep_replace(node, changed)
        return self.source.decode(), new.code


def _statements(source: bytes) -> list[frozenset[int]]:
    """Lines of each statement; of one with a body those of its head."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt | ast.match_case):
            start = node.pattern.lineno if isinstance(node, ast.match_case) else node.lineno
            body = getattr(node, "body", None) or getattr(node, "cases", None)
            end = _line(body[0]) - 1 if body else node.end_lineno
            found.append(frozenset(range(start, max(start, end) + 1)))
    return found


def _line(node: ast.stmt | ast.match_case) -> int:
    return node.pattern.lineno if isinstance(node, ast.match_case) else node.lineno


def _lines(statements: list[frozenset[int]], line: int) -> frozenset[int]:
    return min((lines for lines in statements if line in lines), key=len, default=frozenset({line}))


def swap(mutant: Mutant, file: Path) -> None:
    """Put the mutant in the place of what the running module has, wherever references to it are held."""
    module = importlib.import_module(mutant.module)
    source = mutant.text(file.read_bytes())
    changed = {code.co_qualname: code for code in _codes(compile(source, str(file), "exec", dont_inherit=True))}
    defaults = _defaults(source)
    for function in _functions(module):
        code = changed.get(function.__code__.co_qualname)
        if code is not None and function.__qualname__.startswith(_outer(mutant.function)):
            function.__code__ = code
            _set_defaults(function, defaults.get(function.__qualname__), module)


def _outer(function: str) -> str:
    return function.split(".", maxsplit=1)[0]


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _codes(constant)


def _functions(module: types.ModuleType) -> Iterator[types.FunctionType]:
    """Every function and method that a module defines, without what decorates it."""
    for value in vars(module).values():
        if isinstance(value, type) and value.__module__ == module.__name__:
            for member in vars(value).values():
                yield from _bare(member, module)
        else:
            yield from _bare(value, module)


def _bare(value: Any, module: types.ModuleType) -> Iterator[types.FunctionType]:
    match value:
        case property():
            value = value.fget
        case cached_property():
            value = value.func
        case staticmethod() | classmethod():
            value = value.__func__
    value = inspect.unwrap(value) if callable(value) else value
    if isinstance(value, types.FunctionType) and value.__module__ == module.__name__:
        yield value


def _defaults(source: bytes) -> dict[str, ast.arguments]:
    found: dict[str, ast.arguments] = {}

    def walk(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found[prefix + node.name] = node.args
            elif isinstance(node, ast.ClassDef):
                walk(node.body, f"{prefix}{node.name}.")

    walk(ast.parse(source).body, "")
    return found


def _set_defaults(function: types.FunctionType, arguments: ast.arguments | None, module: types.ModuleType) -> None:
    if arguments is None:
        return
    if arguments.defaults:
        function.__defaults__ = tuple(eval(ast.unparse(each), vars(module)) for each in arguments.defaults)  # noqa: S307 - the project's own source
    given = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    if any(arguments.kw_defaults):
        function.__kwdefaults__ = {
            argument.arg: eval(ast.unparse(value), vars(module))  # noqa: S307 - likewise
            for argument, value in given
            if value is not None
        }
