"""How a command runs inside a machine of a cluster: a node, or an outside host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that ended: its exit status and what it wrote, as bytes that nobody has checked."""

    code: int
    stdout: bytes
    stderr: bytes


class Runner(Protocol):
    """Runs commands as root in the network, mount and process namespaces of a machine."""

    async def run(self, machine: str, argv: Sequence[str], stdin: bytes, seconds: float) -> Finished:
        """Run a command, feed it, and return when it has ended.

        Args:
            machine: the name of a node as the API has it, or `host:NAME` for an outside host.
            argv: the command. One that is not there ends with status 126 or 127, as in a shell.
            stdin: all of its input; whether the end of it is seen does not matter.
            seconds: the limit.

        Raises:
            grader.errors.InfrastructureError: the machine does not run commands, or not within the limit.
        """
        ...
