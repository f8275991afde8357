"""`python -m tui` is `netdojo`."""

from __future__ import annotations

from tui.cli import main

main()
