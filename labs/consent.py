"""Backends that ask before they touch what is not the lab's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@runtime_checkable
class Asking(Protocol):
    """A backend with a question.

    Attributes:
        agree: called with what would be done, line by line; tells whether the user agrees. A front end puts its own
            way of asking here; what the backend has by itself goes by its settings.
    """

    agree: Callable[[Sequence[str]], bool]
