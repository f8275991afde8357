"""A terminal inside the app.

- `keys`       what a key press sends to the program
- `sequences`  repairs control sequences that pyte misreads
- `screen`     the emulated screen (pyte), with scrollback and an alternate screen
- `emulator`   bytes of the program in, screen and answers out
- `child`      the program on its pseudo-terminal
- `view`       the widget
"""
