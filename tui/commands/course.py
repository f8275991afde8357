"""`netdojo course`: chapters and lessons in plain text."""

from __future__ import annotations

import click

from tui.commands.options import output_option


@click.group()
def course() -> None:
    """Chapters and lessons in plain text."""


@course.command("list")
@output_option
def list_(output: str) -> None:
    """List chapters, lessons and labs, with what has been done."""
    import json

    from tui import wiring

    services = wiring.services()
    rows = [
        {
            "course": item.id,
            "chapters": [
                {
                    "number": chapter.number,
                    "id": chapter.id,
                    "title": chapter.title,
                    "lessons": [
                        {"id": lesson.id, "title": lesson.title, "minutes": lesson.minutes}
                        | {"read": services.progress.lesson_read(lesson.id)}
                        for lesson in chapter.lessons
                    ],
                    "labs": [
                        {"id": lab.id, "title": lab.spec.title, "minutes": lab.spec.minutes}
                        | {"finished": services.progress.lab(lab.id).finished > 0}
                        for lab in chapter.labs
                    ],
                }
                for chapter in item.chapters
            ],
        }
        for item in services.courses()
    ]
    if output == "json":
        click.echo(json.dumps({"version": 1, "courses": rows}, indent=2))
        return
    for item in services.courses():
        click.echo(f"{item.title}\n{item.summary}")
        for chapter in item.chapters:
            click.echo(f"\n{chapter.number}. {chapter.title}")
            for lesson in chapter.lessons:
                mark = "x" if services.progress.lesson_read(lesson.id) else " "
                click.echo(f"  [{mark}] lesson  {lesson.id:24} {lesson.title} ({lesson.minutes} min)")
            for lab in chapter.labs:
                mark = "x" if services.progress.lab(lab.id).finished else " "
                click.echo(f"  [{mark}] lab     {lab.id:24} {lab.spec.title} ({lab.spec.minutes} min)")


@course.command("read")
@click.argument("lesson")
def read(lesson: str) -> None:
    """Print a lesson's text, and mark it as read."""
    from content.errors import UsageError
    from tui import wiring

    services = wiring.services()
    lessons = {
        item.id: item for item_course in services.courses() for ch in item_course.chapters for item in ch.lessons
    }
    if lesson not in lessons:
        raise UsageError(f"there is no lesson {lesson!r}", remedy="netdojo course list shows them all")
    click.echo_via_pager(lessons[lesson].text)
    services.progress.mark_lesson(lesson)
