"""`netdojo reach lint`: policies that do not do what they look like."""

from __future__ import annotations

import click

from tui.commands.options import output_as
from tui.commands.reach.inputs import input_options, read_world
from tui.exits import ExitCode


@click.command()
@input_options
@click.option("--select", "selected", metavar="CODE", multiple=True, help="Only this lint; may be repeated.")
@click.option("--ignore", "ignored", metavar="CODE", multiple=True, help="Not this lint; may be repeated.")
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "note", "never"]),
    default="warning",
    show_default=True,
    help="Exit with 1 on findings of this level or worse.",
)
@output_as("text", "json", "sarif", "junit")
def lint(
    *,
    paths: tuple[str, ...],
    namespace: str,
    context: str | None,
    keep_going: bool,
    selected: tuple[str, ...],
    ignored: tuple[str, ...],
    fail_on: str,
    output: str,
) -> int:
    """Find policies that do not do what they look like, each with a reason and a fix.

    The endpoints must be among the inputs: a policy alone selects nothing.
    """
    from content.errors import UsageError
    from grader.lint import lint as lints
    from grader.lint.finding import CODES, Level
    from grader.lint.scene import Scene
    from tui.commands.reach.places import rule_line
    from tui.output import findings as forms
    from tui.output import terminal_width, wants_color

    for code in (*selected, *ignored):
        if code not in CODES:
            listed = ", ".join(f"{known} ({entry.name})" for known, entry in CODES.items())
            raise UsageError(f"there is no lint {code}", remedy=f"there are {listed}")
    world = read_world(paths, namespace, context, keep_going=keep_going)
    policies = sorted(
        {where for _, where, _ in Scene(world).policies}, key=lambda each: (each.file, each.line, str(each))
    )
    found = [each for each in lints(world) if (not selected or each.code in selected) and each.code not in ignored]
    if output == "json":
        click.echo(forms.findings_json(found, len(policies), rule_line))
    elif output == "sarif":
        click.echo(forms.findings_sarif(found, rule_line))
    elif output == "junit":
        click.echo(forms.findings_junit(found, policies))
    else:
        text = forms.findings_text(found, len(policies), terminal_width(), color=wants_color(), rule_line=rule_line)
        click.echo(text)
    if fail_on == "never":
        return ExitCode.HELD
    levels = list(Level)[: list(Level).index(Level(fail_on)) + 1]
    return ExitCode.FAILED if any(each.level in levels for each in found) else ExitCode.HELD
