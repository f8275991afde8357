"""What the API answers when it refuses: Kubernetes' Status object, in Kubernetes' own words.

Source of the wording: k8s.io/apimachinery `pkg/api/errors` and `pkg/util/validation/field`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grader.ports import Manifest


class ApiError(Exception):
    """A request that the API refuses.

    Attributes:
        code: the HTTP status.
        reason: Kubernetes' word for it (`NotFound`, `Invalid`, …).
        details: what it is about; None leaves the field out.
    """

    def __init__(self, code: int, reason: str, message: str, details: Manifest | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def status(self) -> Manifest:
        """The body of the answer."""
        body: Manifest = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        return body | {"code": self.code}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field."""

    reason: str
    field: str
    text: str


class FieldErrors:
    """Collects what is wrong with an object; the methods are Kubernetes' own kinds of field error."""

    def __init__(self) -> None:
        self.found: list[FieldError] = []

    def required(self, field: str, detail: str = "") -> None:
        """A value is missing."""
        self._add("FieldValueRequired", field, "Required value", detail)

    def invalid(self, field: str, value: object, detail: str) -> None:
        """A value is malformed."""
        self._add("FieldValueInvalid", field, f"Invalid value: {show(value)}", detail)

    def unsupported(self, field: str, value: object, supported: Sequence[str]) -> None:
        """A value is none of an enumeration's; they are listed in the order given."""
        listed = ", ".join(f'"{item}"' for item in supported)
        self._add("FieldValueNotSupported", field, f"Unsupported value: {show(value)}", f"supported values: {listed}")

    def duplicate(self, field: str, value: object) -> None:
        """A value that must be unique is there twice."""
        self._add("FieldValueDuplicate", field, f"Duplicate value: {show(value)}")

    def forbidden(self, field: str, detail: str) -> None:
        """A field may not be set here."""
        self._add("FieldValueForbidden", field, "Forbidden", detail)

    def too_long(self, field: str, most: int, unit: str = "bytes") -> None:
        """A value is longer than allowed."""
        self._add("FieldValueTooLong", field, "Too long", f"may not be more than {most} {unit}")

    def raise_for(self, resource_kind: str, group: str, name: str) -> None:
        """Refuse the object if anything was found.

        Raises:
            ApiError: 422 with every error.
        """
        if not self.found:
            return
        texts = [f"{error.field}: {error.text}" for error in _unique(self.found)]
        joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
        shown = f"{resource_kind}.{group}" if group else resource_kind
        details: Manifest = {"name": name} if name else {}
        if group:
            details["group"] = group
        details["kind"] = resource_kind
        details["causes"] = [
            {"reason": error.reason, "message": error.text, "field": error.field} for error in _unique(self.found)
        ]
        raise ApiError(422, "Invalid", f'{shown} "{name}" is invalid: {joined}', details)

    def _add(self, reason: str, field: str, what: str, detail: str = "") -> None:
        self.found.append(FieldError(reason, field, f"{what}: {detail}" if detail else what))


def _unique(errors: Iterable[FieldError]) -> list[FieldError]:
    """Kubernetes shows the same error once."""
    return list(dict.fromkeys(errors))


def show(value: object) -> str:
    """A value as a field error shows it."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _details(resource: str, name: str) -> dict[str, Any]:
    plural, _, group = resource.partition(".")
    details: dict[str, Any] = {"name": name} if name else {}
    if group:
        details["group"] = group
    return details | {"kind": plural}


def not_found(resource: str, name: str) -> ApiError:
    """There is no such object."""
    return ApiError(404, "NotFound", f'{resource} "{name}" not found', _details(resource, name))


def no_such_path() -> ApiError:
    """There is no such resource."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(resource: str, name: str, *, ends: bool = False) -> ApiError:
    """The name is taken, if only by an object that ends."""
    told = f'{"object is being deleted: " if ends else ""}{resource} "{name}" already exists'
    return ApiError(409, "AlreadyExists", told, _details(resource, name))


def conflict(resource: str, name: str, why: str = "") -> ApiError:
    """Somebody changed the object in between."""
    why = why or ("the object has been modified; please apply your changes to the latest version and try again")
    message = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(resource, name))


def forbidden(resource: str, name: str, why: str) -> ApiError:
    """It may not be done."""
    return ApiError(403, "Forbidden", f'{resource} "{name}" is forbidden: {why}', _details(resource, name))


def bad_request(message: str) -> ApiError:
    """The request makes no sense."""
    return ApiError(400, "BadRequest", message)


def not_allowed() -> ApiError:
    """This method does not exist here."""
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def unauthorized() -> ApiError:
    """No token, or a wrong one."""
    return ApiError(401, "Unauthorized", "Unauthorized")
