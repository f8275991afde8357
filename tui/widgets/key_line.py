"""One line of keys at the bottom.

Textual's footer mounts a widget a key and builds all of them anew at every change of focus, which takes longer than
everything else that a key press does; this is one line of text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:
    from textual.screen import Screen

_NAMES = {"escape": "Esc", "enter": "Enter", "space": "Space"}


class KeyLine(Static):
    """The keys that work now; those that do not fit are left out. F1 shows all."""

    DEFAULT_CSS = """
    KeyLine {
        height: 1; background: $panel; color: $foreground;
        link-style: none; link-color: $foreground; link-background: transparent;
        link-style-hover: underline; link-color-hover: $foreground; link-background-hover: transparent;
    }
    """

    def on_mount(self) -> None:
        """Follow the focus."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, _screen: Screen[object]) -> None:
        self.refresh()

    def render(self) -> Content:
        """The line; a click on a key does what the key does."""
        parts: list[Content] = []
        seen: set[str] = set()
        room = self.size.width
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if not (binding.show and active.enabled and binding.description) or binding.action in seen:
                continue
            seen.add(binding.action)
            text = Content.assemble(" ", (_key_name(binding.key), "bold reverse"), f" {binding.description} ").stylize(
                f"@click=app.simulate_key('{binding.key}')"
            )
            room -= text.cell_length
            if room < 0:
                break
            parts.append(text)
        return Content.assemble(*parts)


def _key_name(key: str) -> str:
    name = _NAMES.get(key, key)
    return name.upper() if name.startswith("f") and name[1:].isdigit() else name.replace("ctrl+", "^")
