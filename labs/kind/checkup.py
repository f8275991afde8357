"""Everything that kind clusters need here, looked at in one go: for `netdojo doctor`, the app, and before a start."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError, NotCapableError
from labs import store
from labs.doctor import Examined, Finding
from labs.kind import endpoint, images, preflight, prepare, settings
from labs.kind.binary import KindProgram
from labs.kind.state import FOLDER, Pool, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from content.model import Lab
    from labs.kind.binary import Program
    from labs.kind.engine import Engine
    from labs.kind.settings import KindSettings
    from labs.kind.state import Record


def examine(labs: Sequence[Lab] = ()) -> tuple[Examined, ...]:
    """Look at everything; `labs` are those whose images count. Changes nothing, fetches nothing.

    Raises:
        BrokenContentError: the settings are no settings.
    """
    chosen = settings.load()
    refusal = endpoint.diagnose(endpoint.find())
    if refusal is not None:
        return (preflight.unreachable(refusal),)
    from labs.kind import dockersdk

    try:
        engine = dockersdk.connect()
    except (NotCapableError, InfrastructureError) as error:
        return (preflight.failed("Docker", error),)
    try:
        records = Pool(store.folders().state / FOLDER).records()
        return asyncio.run(_examine(engine, KindProgram(chosen.binary), chosen, records, labs))
    finally:
        engine.close()


async def _examine(
    engine: Engine, program: Program, chosen: KindSettings, records: Sequence[Record], labs: Sequence[Lab]
) -> tuple[Examined, ...]:
    found = [*await machine(engine, program, chosen)]
    if found[0].finding is Finding.MISSING:
        return tuple(found)
    free = sum(record.stage is Stage.FREE for record in records)
    found.append(await preflight.strangers(engine, [record.name for record in records], free))
    try:
        wanted = images.needed(chosen, labs, prepare.cache(), fetch=False)
        found.append(await preflight.of_images(engine, wanted))
    except (InfrastructureError, LookupError) as error:
        found.append(preflight.failed("images", error))
    return tuple(found)


async def machine(engine: Engine, program: Program, chosen: KindSettings) -> tuple[Examined, ...]:
    """The engine, its machine and the kind program."""
    info, kind = await asyncio.gather(engine.info(), preflight.of_kind(program), return_exceptions=True)
    if isinstance(info, InfrastructureError):
        return (preflight.failed("Docker", info),)
    if isinstance(info, BaseException):
        raise info
    if isinstance(kind, BaseException):
        raise kind
    facts = await asyncio.to_thread(preflight.host, info)
    return (*preflight.of_engine(info, facts, chosen), kind)


async def require(
    engine: Engine, program: Program, chosen: KindSettings, ports: Iterable[tuple[int, str]] = ()
) -> tuple[Examined, ...]:
    """Go on only where a cluster can be made; what is less than it should be is returned.

    Raises:
        InfrastructureError: something is missing: what, and what to do.
    """
    examined = (*await machine(engine, program, chosen), preflight.ports(ports))
    preflight.refuse(examined)
    return tuple(each for each in examined if each.finding is not Finding.FINE)
