"""Command-line options as the tools' users write them: `-sSm2`, `-o file`, `--max-time 2`, `--max-time=2`."""

from __future__ import annotations

import sys


class UsageError(Exception):
    """An option that the applet does not have, or that lacks its value."""


def parse(
    arguments: list[str], flags: dict[str, str], values: dict[str, str]
) -> tuple[dict[str, int], dict[str, list[str]], list[str]]:
    """Split arguments into flags with their counts, options with their values, and the rest.

    Args:
        arguments: what came after the tool's name.
        flags: every spelling of an option without a value (`-s`, `--silent`) to its name.
        values: every spelling of an option with one to its name.

    Raises:
        UsageError: an option is unknown or lacks its value.
    """
    counts: dict[str, int] = {}
    found: dict[str, list[str]] = {}
    rest: list[str] = []
    queue = list(arguments)
    while queue:
        word = queue.pop(0)
        if word == "--":
            rest += queue
            break
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        option, equals, value = word.partition("=")
        if word in flags:
            counts[flags[word]] = counts.get(flags[word], 0) + 1
        elif option in values and equals:
            found.setdefault(values[option], []).append(value)
        elif word in values:
            if not queue:
                raise UsageError(f"option {word} needs a value")
            found.setdefault(values[word], []).append(queue.pop(0))
        elif not word.startswith("--") and len(word) > 2 and (word[:2] in flags or word[:2] in values):
            tail = word[2:]
            queue[:0] = [word[:2], f"-{tail}" if word[:2] in flags else tail]
        else:
            raise UsageError(f"option {word} is not known here")
    return counts, found, rest


def say(text: str) -> None:
    """A line on standard output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """A line on standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
