"""What the commands of `netdojo reach` read: files, folders, standard input, or a live cluster's objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from grader.kube.model import Objects, Origin
    from grader.reachability.world import World

F = TypeVar("F", bound="Callable[..., Any]")

Located = list[tuple[dict[str, Any], "Origin"]]
"""Objects as JSON gives them, each with the place it came from."""

family_option = click.option("--family", type=click.Choice(["4", "6"]), default=None, help="IP family of the packets.")
paths_argument = click.argument("paths", metavar="[PATH…]", nargs=-1)
namespace_option = click.option(
    "--namespace", "-n", default="default", show_default=True, help="Namespace of objects that name none."
)
context_option = click.option(
    "--context", metavar="NAME", default=None, help="Read a live cluster too: this context of your kubeconfig."
)
keep_going_option = click.option(
    "--keep-going", is_flag=True, help="Report objects that cannot be read, and judge the others."
)

MOST_KINDS = 8


def input_options(command: F) -> F:
    """The argument and the options by which a command takes its objects; see `read`."""
    for option in (keep_going_option, context_option, namespace_option, paths_argument):
        command = option(command)
    return command


def read_world(
    paths: tuple[str, ...], namespace: str, context: str | None = None, *, keep_going: bool = False
) -> World:
    """Return the world of these inputs; kinds that may decide traffic and are not judged are named on standard error.

    Raises:
        UsageError: nothing to read, or a path that is not there.
        BrokenContentError: objects that cannot be read; not with `keep_going`.
    """
    from grader.reachability.world import World
    from tui.commands.reach.places import rule_line

    objects = parse(read(paths, context, keep_going=keep_going), namespace, keep_going=keep_going)
    return World(objects, rule_line=rule_line)


def read(paths: Iterable[str], context: str | None = None, *, keep_going: bool = False) -> Located:
    """Return every object, in order; those of a live cluster first.

    Raises:
        UsageError: nothing to read, or a path that is not there.
        BrokenContentError: a file that is no YAML, by file and line; not with `keep_going`.
    """
    from content.errors import UsageError
    from grader.kube.model import Origin
    from tui.commands.manifests import read_located

    names = tuple(paths)
    if not names and context is None:
        raise UsageError("nothing to read", remedy="name files, folders or -, or a cluster with --context")
    found: Located = []
    if context is not None:
        from tui.commands.reach.live import objects_of

        found += ((item, Origin()) for item in objects_of(context, refused=_warn if keep_going else None))
    skipped = _warn if keep_going else None
    located = read_located(names, skipped=skipped, shared=True)
    return found + [(item, Origin(file, line)) for item, file, line in located]


def parse(located: Located, namespace: str, *, keep_going: bool = False, quiet: bool = False) -> Objects:
    """Return the parsed objects; see `read_world`. `quiet`: without a note on kinds that are not judged."""
    from grader.kube.parse import read_objects

    if keep_going:
        located = list(_readable(located, namespace))
    parsed = read_objects(
        (item for item, _ in located), default_namespace=namespace, origins=(origin for _, origin in located)
    )
    if not quiet:
        _note(parsed.passed_over)
    return parsed


def _note(passed_over: Mapping[str, int]) -> None:
    """Name what may decide traffic and is not judged, and count what decides none."""
    from grader.kube.passed_over import may_decide

    ignored = [f"{count} {kind}" for kind, count in passed_over.items() if may_decide(kind)]
    if ignored:
        click.echo(f"note: not judged, although they may decide traffic: {', '.join(ignored)}", err=True)
    others = [f"{count} {kind}" for kind, count in passed_over.items() if not may_decide(kind)]
    if others:
        more = f" and {len(others) - MOST_KINDS} more kinds" if len(others) > MOST_KINDS else ""
        click.echo(f"note: passed over, as they decide no traffic: {', '.join(others[:MOST_KINDS])}{more}", err=True)


def _readable(located: Located, namespace: str) -> Iterable[tuple[dict[str, Any], Origin]]:
    """Those that the API would take; the others are reported."""
    from content.errors import BrokenContentError
    from grader.kube.parse import read_objects

    for item, origin in located:
        try:
            read_objects([item], default_namespace=namespace, origins=[origin])
        except BrokenContentError as error:
            _warn(error)
        else:
            yield item, origin


def _warn(error: Exception) -> None:
    click.echo("\n".join(f"left out: {line}" for line in str(error).splitlines()), err=True)
