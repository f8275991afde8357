"""The command palette: every lesson, quiz and lab by name, the screen's actions, and the themes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from textual.await_complete import AwaitComplete
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tui.app import NetdojoApp


class Command(NamedTuple):
    """A name, what it does in words, and what it does."""

    name: str
    words: str
    run: Callable[[], object]


class Commands(Provider):
    """Finds them."""

    def _commands(self) -> Iterator[Command]:
        app = cast("NetdojoApp", self.app)
        for binding in self.screen.active_bindings.values():
            shown = binding.binding.description
            if binding.enabled and shown and binding.node is self.screen and not binding.binding.system:
                yield Command(shown, f"here: {binding.binding.key}", self._action(binding.binding.action))
        yield from app.commands()

    def _action(self, action: str) -> Callable[[], object]:
        screen = self.screen

        async def run() -> None:
            await screen.run_action(action)

        return run

    async def discover(self) -> Hits:
        """Everything, before anything is typed."""
        for command in self._commands():
            yield DiscoveryHit(command.name, command.run, help=command.words)

    async def search(self, query: str) -> Hits:
        """What matches, best first."""
        matcher = self.matcher(query)
        for command in self._commands():
            score = matcher.match(command.name)
            if score > 0:
                yield Hit(score, matcher.highlight(command.name), command.run, help=command.words)


class Palette(CommandPalette):
    """Closes once: a second Enter that was pressed quickly would close the screen below."""

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Close, and run the command that was chosen."""
        return super().dismiss(result) if self.is_current else AwaitComplete()
