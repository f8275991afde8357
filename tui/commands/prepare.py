"""`netdojo lab prepare`: what kind clusters need, fetched ahead, or carried into a room without a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tui.commands.options import done, narrate, output_option, perform

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from content.model import Lab
    from labs.kind.archive import Contents
    from labs.kind.engine import Engine
    from labs.kind.prepare import Preparation
    from labs.kind.settings import KindSettings

_MB = 1 << 20
_file = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("names", metavar="[LAB]...", nargs=-1)
@click.option("--yes", "-y", is_flag=True, help="Fetch without asking.")
@click.option("--save", "target", type=_file, help="Write it all to FILE, for machines without a network.")
@click.option("--load", "source", type=_file, help="Bring it from FILE; nothing is fetched.")
@output_option
def prepare(names: tuple[str, ...], yes: bool, target: Path | None, source: Path | None, output: str) -> None:
    """Fetch what kind clusters need ahead of time: node image, Calico, the images of LABS (of all when left out).

    What is fetched, and from where, is said first. Labs in the sandbox need none of it.
    """
    from content.errors import UsageError
    from labs.kind import scratch

    if target and source:
        raise UsageError("--save and --load exclude one another", remedy="save on one machine, load on the other")
    scratch.sweep(_cache().parent)
    if source:
        _bring(source, output)
        return
    labs = _labs(names)
    before = _with_engine(lambda engine, chosen: _plan(engine, chosen, labs))
    _show(before)
    if not before.complete:
        if not yes:
            click.confirm("Fetch it?", abort=True, err=True)
        _with_engine(lambda engine, chosen: _fetch(engine, chosen, labs))
    saved = _with_engine(lambda engine, chosen: _save(engine, chosen, labs, target)) if target else None
    _tell(before, target, saved, output)


def _labs(names: tuple[str, ...]) -> list[Lab]:
    from tui import wiring

    services = wiring.services()
    if names:
        return [services.lab(name) for name in names]
    every = [lab for course in services.courses() for chapter in course.chapters for lab in chapter.labs]
    return [lab for lab in every if "kind" in lab.spec.backends]


def _with_engine(work: Callable[[Engine, KindSettings], Coroutine[Any, Any, Any]]) -> Any:  # noqa: ANN401 - what it gives
    from labs.kind import dockersdk, settings

    engine = dockersdk.connect()
    try:
        return perform(work(engine, settings.load()))
    finally:
        done()
        engine.close()


def _cache() -> Path:
    from labs.kind import prepare as ahead

    return ahead.cache()


async def _plan(engine: Engine, chosen: KindSettings, labs: list[Lab]) -> Preparation:
    from labs.kind import prepare as ahead

    return await ahead.plan(engine, chosen, labs, _cache())


async def _fetch(engine: Engine, chosen: KindSettings, labs: list[Lab]) -> Preparation:
    from labs.kind import prepare as ahead

    return await ahead.fetch(engine, chosen, labs, _cache(), narrate())


async def _save(engine: Engine, chosen: KindSettings, labs: list[Lab], target: Path) -> Contents:
    from labs.kind import carry
    from labs.kind import prepare as ahead
    from labs.kind.calico import sources

    found = await ahead.plan(engine, chosen, labs, _cache())
    return await carry.save(engine, found.needed, sources.of(chosen).sources, _cache(), target, narrate())


def _show(found: Preparation) -> None:
    """What is there and what would be fetched, on standard error."""
    from labs.kind import images

    lacking = {item.reference for item in found.images}
    for item in found.needed:
        state = f"fetch from {images.registry_of(item.reference)}" if item.reference in lacking else "there"
        click.echo(f"{item.reference}\n    {item.purpose}: {state}", err=True)
    for file in found.files:
        pinned = f" ({file.digest})" if file.digest else ""
        click.echo(f"{file.place}{pinned}\n    Calico: fetch", err=True)


def _tell(before: Preparation, target: Path | None, saved: Contents | None, output: str) -> None:
    import json

    fetched = [*(item.reference for item in before.images), *(file.place for file in before.files)]
    if output == "json":
        data: dict[str, Any] = {
            "version": 1,
            "images": [item.reference for item in before.needed],
            "fetched": fetched,
        }
        if saved is not None:
            data["saved"] = {"file": str(target), "bytes": saved.size, "digest": saved.digest}
        click.echo(json.dumps(data, indent=2))
        return
    click.echo(f"{len(fetched)} fetched; everything is there." if fetched else "Everything is there.")
    if saved is not None:
        click.echo(f"{target}: {saved.size // _MB} MB, {saved.digest}")
        click.echo(f"On the other machine (with Docker and kind v{saved.kind}): netdojo lab prepare --load {target}")


def _bring(source: Path, output: str) -> None:
    import json

    from labs.kind import archive, carry
    from labs.store import folders

    contents = archive.read(source)

    async def work(engine: Engine, _: KindSettings) -> tuple[tuple[str, ...], tuple[Path, ...]]:
        return await carry.load(engine, source, _cache(), folders().data / "kind" / "calico", narrate())

    loaded, files = _with_engine(work)
    if output == "json":
        names = [item.reference for item in contents.images]
        data = {"version": 1, "images": names, "loaded": list(loaded), "files": [str(file) for file in files]}
        click.echo(json.dumps(data, indent=2))
        return
    click.echo(f"{len(loaded)} images loaded, {len(contents.images) - len(loaded)} were there.")
    if files:
        click.echo(f"Calico's manifests are in {files[0].parent}: name that folder in the setting kind.calico.")
    click.echo(f"Its node image was made for kind v{contents.kind}; kind itself and Docker are not in the file.")
