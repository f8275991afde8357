"""What can be wrong, and the root of netdojo's error tree.

    NetdojoError
    ├── BrokenContentError          a lab, course or manifest file is defective          exit 2
    ├── UsageError                  the caller asked for what does not exist             exit 2
    └── grader.errors
        └── InfrastructureError     it could not run: never counted as a wrong answer    exit 3

A wrong answer is not an error: it is a `grader.report.Report`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class NetdojoError(Exception):
    """The root of everything netdojo raises on purpose.

    Args:
        message: what happened, in one sentence, for a person.
        remedy: what to do about it; empty when there is nothing to say.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class UsageError(NetdojoError):
    """The caller named something that does not exist, or combined options that exclude one another."""


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that is wrong with one file.

    `line` counts from 1; 0 means the file as a whole.
    """

    file: Path
    line: int
    cause: str
    remedy: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else f"{self.file}"
        return printable(f"{where}: {self.cause}" + (f" ({self.remedy})" if self.remedy else ""))


class BrokenContentError(NetdojoError):
    """Files that cannot be used; carries every defect that was found, in the order of files and lines."""

    def __init__(self, defects: Iterable[Defect]) -> None:
        self.defects = tuple(defects)
        super().__init__("\n".join(str(defect) for defect in self.defects))


def printable(text: str) -> str:
    """A stranger's text, fit for a terminal: what would control it, or turn its writing, is a replacement sign."""
    return _CONTROLS.sub("\ufffd", text)


_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""C0 and C1 but for the tab and the end of a line; Unicode's bidirectional embeddings, overrides and isolates."""
