"""The `netdojo` command. Each group's module is imported when the group is used, so that `--help` answers at once."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from tui.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("tui.commands.demo:demo", "A lab from start to grade, by itself, in seconds."),
    "doctor": ("tui.commands.doctor:doctor", "What can run here, and what is missing for the rest."),
    "course": ("tui.commands.course:course", "Chapters and lessons in plain text."),
    "lab": ("tui.commands.lab:lab", "Labs: list, start, check, hint, reset, stop …"),
    "sandbox": ("tui.commands.sandbox:sandbox", "A cluster of namespaces for any manifests, without a course."),
    "reach": ("tui.commands.reach:reach", "Who reaches whom, and why, from manifests."),
    "author": ("tui.commands.author:author", "Labs and courses: lint, prove, schema."),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and one-line helps, and imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order in which people meet them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any of them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 held, 1 a check failed, 2 wrong use or a broken file, 3 could not run, 130 interrupted.",
)
@click.version_option(package_name="netdojo", prog_name="netdojo")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Learn and certify Kubernetes networking and security on live clusters, in the terminal.

    Without a command, the app opens.
    """
    if ctx.invoked_subcommand is None:
        from tui.commands.app import open_app

        ctx.exit(open_app())


def main() -> NoReturn:
    """Run the command line and exit; every error of netdojo's own becomes a message and an exit status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line with these arguments and return its exit status."""
    try:
        result = cli.main(arguments, prog_name="netdojo", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`netdojo … | head`): not an error, and nothing more to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.HELD
    except Exception as error:  # noqa: BLE001 - sorted out there: what is not netdojo's own is raised again
        return _explain(error)
    return int(result or 0)


def _explain(error: Exception) -> int:
    from content.errors import NetdojoError, printable
    from grader.errors import InfrastructureError

    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        # Standard output goes to a file on a full disk; what is kept of it must not be flushed at the end again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        error = InfrastructureError(f"the disk is full: {error}", remedy="free some space, then try again")
    if not isinstance(error, NetdojoError):
        raise error
    click.echo(f"error: {printable(error.message)}", err=True)
    if error.remedy:
        click.echo(f"  -> {printable(error.remedy)}", err=True)
    return ExitCode.COULD_NOT_RUN if isinstance(error, InfrastructureError) else ExitCode.USAGE
