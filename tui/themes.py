"""The app's colours: dark, light and high contrast. Every state has a symbol as well, so none is needed to read it."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="dark",
    primary="#7aa2f7",
    secondary="#89b4c9",
    accent="#e0af68",
    foreground="#d5daea",
    background="#14161f",
    surface="#1b1e2a",
    panel="#252a3a",
    success="#8fce6a",
    warning="#e8b45c",
    error="#ff7b86",
    dark=True,
)
LIGHT = Theme(
    name="light",
    primary="#1f5fbf",
    secondary="#2c6e7f",
    accent="#8a5300",
    foreground="#1d2230",
    background="#fafafa",
    surface="#f0f1f5",
    panel="#e1e4ec",
    success="#226b1e",
    warning="#8a5300",
    error="#b3202f",
    dark=False,
)
CONTRAST = Theme(
    name="contrast",
    primary="#ffff00",
    secondary="#00ffff",
    accent="#ffff00",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#202020",
    success="#00ff00",
    warning="#ffff00",
    error="#ff8080",
    dark=True,
    text_alpha=1.0,
)

THEMES = (DARK, LIGHT, CONTRAST)
"""In the order in which the command palette offers them."""
