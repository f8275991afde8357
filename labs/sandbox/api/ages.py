"""Times as the API writes them, and ages as kubectl shows them (k8s.io/apimachinery `pkg/util/duration`)."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_text() -> str:
    """The time in RFC 3339, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def since(text: str | None, now: float) -> str:
    """How long ago, in one or two units: `5s`, `3m20s`, `4h2m`, `12d`."""
    if not text:
        return "<unknown>"
    try:
        then = datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return "<unknown>"
    return human(int(now - then))


_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400
_STEPS = (
    (120, "s", 1, "", 0),
    (10 * _MINUTE, "m", _MINUTE, "s", 1),
    (180 * _MINUTE, "m", _MINUTE, "", 0),
    (8 * _HOUR, "h", _HOUR, "m", _MINUTE),
    (48 * _HOUR, "h", _HOUR, "", 0),
    (8 * _DAY, "d", _DAY, "h", _HOUR),
    (2 * _YEAR, "d", _DAY, "", 0),
    (8 * _YEAR, "y", _YEAR, "d", _DAY),
)
"""Below so many seconds: the unit and its length, and those of the part that is shown with it."""


def human(seconds: int) -> str:
    """A length of time, the shorter the more exact."""
    if seconds < -1:
        return "<invalid>"
    seconds = max(seconds, 0)
    for below, unit, length, part, small in _STEPS:
        if seconds < below:
            rest = seconds % length // small if small else 0
            return f"{seconds // length}{unit}{rest}{part}" if rest else f"{seconds // length}{unit}"
    return f"{seconds // _YEAR}y"
