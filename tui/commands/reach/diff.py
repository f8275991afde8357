"""`netdojo reach diff`: what a change opens and closes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tui.commands.options import output_as
from tui.commands.reach.inputs import (
    context_option,
    family_option,
    keep_going_option,
    namespace_option,
    parse,
    read,
)
from tui.exits import ExitCode

if TYPE_CHECKING:
    from tui.commands.reach.inputs import Located


@click.command()
@click.argument("old", metavar="[OLD]", required=False)
@click.argument("new", metavar="[NEW]", required=False)
@click.option("--apply", "applied", metavar="PATH", multiple=True, help="OLD with this applied; may be repeated.")
@click.option(
    "--delete", "deleted", metavar="KIND/NS/NAME", multiple=True, help="OLD without this object; may be repeated."
)
@click.option(
    "--enforce-staged",
    "staged",
    metavar="[NS/]NAME|all",
    multiple=True,
    help="OLD with this staged policy of Calico in force; may be repeated.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["opens", "closes", "any"]),
    default=None,
    help="Exit with 1 when something opens, closes, or either.",
)
@namespace_option
@context_option
@keep_going_option
@family_option
@output_as("text", "json", "markdown")
def diff(
    *,
    old: str | None,
    new: str | None,
    applied: tuple[str, ...],
    deleted: tuple[str, ...],
    staged: tuple[str, ...],
    fail_on: str | None,
    namespace: str,
    context: str | None,
    keep_going: bool,
    family: str | None,
    output: str,
) -> int:
    """Show what changes between OLD and NEW: who reaches whom now and did not, and the other way round.

    OLD and NEW are files, folders, or - for standard input. Instead of NEW, say what to do to OLD (or to the cluster
    of --context): --apply, --delete, --enforce-staged; they take effect in this order.
    """
    from content.errors import UsageError
    from grader.reachability.diff import difference
    from grader.reachability.entry_changes import entry_changes
    from grader.reachability.world import World
    from tui.commands.reach.change import applied_to, enforced, without
    from tui.output import differences as forms
    from tui.output import terminal_width, wants_color

    edits = bool(applied or deleted or staged)
    if context is not None and old is not None and new is None and not edits:
        old, new = None, old
    if edits is (new is not None):
        what = "NEW and a change exclude each other" if edits else "nothing to compare with"
        raise UsageError(what, remedy="name OLD and NEW, or OLD and --apply, --delete or --enforce-staged")
    before = read((old,) if old else (), context, keep_going=keep_going)
    after: Located
    if new is not None:
        after = read((new,), keep_going=keep_going)
    else:
        after = applied_to(before, read(applied, keep_going=keep_going) if applied else [], namespace)
        after = enforced(without(after, deleted, namespace), staged, namespace)
    was = World(parse(before, namespace, keep_going=keep_going, quiet=True))
    now = World(parse(after, namespace, keep_going=keep_going))
    found = difference(was, now, int(family) if family else None)
    entries = entry_changes(found)
    owners = {pod.ref: f"{pod.namespace}/{pod.owner}" for world in (was, now) for pod in world.objects.pods}
    if output == "json":
        click.echo(forms.difference_json(found, entries))
    elif output == "markdown":
        click.echo(forms.difference_markdown(found, owners, entries))
    else:
        text = forms.difference_text(found, owners, terminal_width(), color=wants_color(), entries=entries)
        click.echo(text)
    opened = bool(found.opened) or any(each.opened for each in entries)
    closed = bool(found.closed) or not all(each.opened for each in entries)
    failing = {"opens": opened, "closes": closed, "any": opened or closed, None: False}[fail_on]
    return ExitCode.FAILED if failing else ExitCode.HELD
