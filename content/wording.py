"""What pydantic found, said the way a person who writes a lab needs to hear it."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from content.errors import Defect
from content.yamlio import line_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

Step = str | int


def defects_of(error: ValidationError, model: type[BaseModel], file: Path, text: str) -> Iterator[Defect]:
    """Say what is wrong with each field, with the line on which it (or what should hold it) stands."""
    for detail in error.errors(include_url=False):
        location = tuple(step for step in detail["loc"] if step != "[key]")
        cause, remedy = _say(detail, location, model)
        yield Defect(file, line_of(text, location), cause, remedy)


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return the nearest known word as a remedy, or all of them."""
    names = sorted(known)
    near = get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(names) or 'nothing'}"


def _say(  # noqa: PLR0911 - one return for each kind of error reads as the table it is
    detail: ErrorDetails, location: tuple[Step, ...], model: type[BaseModel]
) -> tuple[str, str]:
    where = _path(location)
    kind, context = detail["type"], detail.get("ctx", {})
    found = _found(detail["input"])
    match kind:
        case "extra_forbidden":
            return f"unknown field {where}", suggestion(str(location[-1]), _fields(model, location[:-1]))
        case "missing":
            return f"the field {where} is missing", _described(model, location)
        case "string_pattern_mismatch":
            remedy = "use lower-case letters, digits and -, at most 63 characters, no - at either end"
            return f"{where}: {found} is no valid name", remedy
        case "literal_error":
            expected = str(context.get("expected", ""))
            near = get_close_matches(
                str(detail["input"]), expected.replace("'", "").replace(" or ", ", ").split(", "), n=1
            )
            return f"{where}: {found} is not one of {expected}", f"did you mean {near[0]}?" if near else ""
        case "greater_than_equal" | "less_than_equal":
            least = kind.startswith("greater")
            limit = context.get("ge" if least else "le")
            return (
                f"{where}: {found} is too {'small' if least else 'large'}",
                f"at {'least' if least else 'most'} {limit}",
            )
        case "control_character":
            return f"{where}: {found} has control characters", "write plain text: it is shown on terminals"
        case "one_kind":
            return f"{where}: a check is of one kind, and this gives {context.get('given')}", _kinds(model, location)
        case "too_short" | "string_too_short":
            return f"{where}: too few", f"at least {context.get('min_length')}"
        case "too_long" | "string_too_long":
            return f"{where}: too long", f"at most {context.get('max_length')}"
        case _:
            return f"{where}: expected {_expected(kind)}, found {found}", _described(model, location)


def _expected(kind: str) -> str:
    table = {"string": "text", "int": "a whole number", "bool": "true or false", "tuple": "a list", "dict": "a mapping"}
    return table.get(kind.partition("_")[0], "a mapping")


def _kinds(model: type[BaseModel], location: tuple[Step, ...]) -> str:
    return f"give one of: {', '.join(_fields(model, location))}; a task may have several checks"


def _found(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case str():
            return repr(value if len(value) <= 40 else value[:40] + "…")
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case bool():
            return str(value).lower()
        case _:
            return str(value)[:40]


def _path(location: tuple[Step, ...]) -> str:
    """`tasks[0].hints`, counted from 0 as every other tool does."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "the file"


def _fields(model: type[BaseModel], location: tuple[Step, ...]) -> tuple[str, ...]:
    """The fields that are known at a location."""
    holder = _model_at(model, location)
    return tuple(holder.model_fields) if holder else ()


def _described(model: type[BaseModel], location: tuple[Step, ...]) -> str:
    """The description of a field, which is what the remedy would say."""
    holder = _model_at(model, location[:-1]) if location else None
    field = holder.model_fields.get(str(location[-1])) if holder else None
    return (field.description or "") if field else ""


def _model_at(model: type[BaseModel], location: tuple[Step, ...]) -> type[BaseModel] | None:
    current: type[BaseModel] | None = model
    for step in location:
        if current is None:
            return None
        field = current.model_fields.get(step) if isinstance(step, str) else None
        if field is not None:
            current = _nested(field.annotation)
    return current


def _nested(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - an annotation may be anything
    """The model inside `tuple[Task, ...]`, `dict[Slug, Mistake]`, `Quiz | None` and their like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for argument in get_args(annotation) if (found := _nested(argument))), None)
