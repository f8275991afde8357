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


def human(seconds: int) -> str:
    """A length of time, the shorter the more exact."""
    if seconds < -1:
        return "<invalid>"
    seconds = max(seconds, 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    years = days // 365
    return _two(years, "y", days % 365, "d") if years < 8 else f"{years}y"


def _two(large: int, unit: str, small: int, part: str) -> str:
    return f"{large}{unit}{small}{part}" if small else f"{large}{unit}"
