"""Tells a person what could not be done, where the app goes on all the same."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from content.errors import NetdojoError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import App

SECONDS = 15.0
"""How long such a notice stays: long enough to read what to do."""


@contextlib.contextmanager
def telling(app: App[int]) -> Iterator[None]:
    """Show an error as a notice with its remedy; the rest of the block is left out."""
    try:
        yield
    except NetdojoError as error:
        app.notify(
            "\n".join(filter(None, (error.message, error.remedy))), severity="error", timeout=SECONDS, markup=False
        )
    except OSError as error:
        app.notify(str(error), severity="error", timeout=SECONDS, markup=False)
