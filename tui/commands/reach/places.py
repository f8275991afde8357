"""Where rules stand in the files that policies came from; files are read again only when that is asked."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.reachability.verdict import PolicyRef


@cache
def rule_line(policy: PolicyRef, direction: str, rule: int) -> int:
    """Return the line on which a rule starts; the policy's own where it is not found (standard input, say)."""
    from content.yamlio import line_within

    text = _text(policy.file)
    return (line_within(text, policy.line, ("spec", direction, rule - 1)) if text else 0) or policy.line


@cache
def _text(file: str) -> str:
    from content.errors import BrokenContentError
    from content.yamlio import read_text

    if not file or file == "-":
        return ""
    try:
        return read_text(Path(file))
    except (BrokenContentError, OSError):
        return ""
