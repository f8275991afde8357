"""Backends that ask before they touch what is not the lab's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


@runtime_checkable
class Asking(Protocol):
    """A backend with a question.

    Attributes:
        agree: asked with what would be done, line by line; tells whether the user agrees. A front end puts its own way
            of asking here; by itself a backend agrees to nothing but what its settings say.
    """

    agree: Callable[[Sequence[str]], Awaitable[bool]]
