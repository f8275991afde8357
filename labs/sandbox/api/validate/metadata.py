"""What every object's metadata must be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labs.sandbox.api.validate import common

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.ports import Manifest
    from labs.sandbox.api.status import FieldErrors

_STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
_MAX_ANNOTATIONS = 256 * 1024


def check(errors: FieldErrors, metadata: Manifest, name_problems: Callable[[str], list[str]]) -> None:
    """Check names, labels, annotations, owners and finalizers."""
    generate, name = metadata.get("generateName", ""), metadata.get("name", "")
    if generate:
        stem = generate.removesuffix("-")
        for problem in name_problems(stem):
            errors.invalid("metadata.generateName", generate, problem)
    if not name:
        errors.required("metadata.name", "name or generateName is required")
    else:
        for problem in name_problems(name):
            errors.invalid("metadata.name", name, problem)
    common.labels(errors, "metadata.labels", metadata.get("labels", {}))
    _annotations(errors, "metadata.annotations", metadata.get("annotations", {}))
    _owners(errors, metadata.get("ownerReferences", []))
    for n, finalizer in enumerate(metadata.get("finalizers", [])):
        for problem in common.qualified_name_problems(finalizer):
            errors.invalid("metadata.finalizers", finalizer, problem)
        if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            errors.invalid(
                f"metadata.finalizers[{n}]",
                finalizer,
                "name is neither a standard finalizer name nor is it fully qualified",
            )


def _annotations(errors: FieldErrors, field: str, found: dict[str, str]) -> None:
    for key in found:
        for problem in common.qualified_name_problems(key.lower()):
            errors.invalid(field, key, problem)
    if sum(len(key) + len(value) for key, value in found.items()) > _MAX_ANNOTATIONS:
        errors.too_long(field, _MAX_ANNOTATIONS)


def _owners(errors: FieldErrors, owners: list[dict[str, Any]]) -> None:
    for n, owner in enumerate(owners):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                errors.required(f"metadata.ownerReferences[{n}].{field}", "must not be empty")
    controllers = [owner for owner in owners if owner.get("controller")]
    if len(controllers) > 1:
        first, second = (f"{owner.get('kind')}/{owner.get('name')}" for owner in controllers[:2])
        order = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
        errors.invalid(
            "metadata.ownerReferences",
            [{key: owner[key] for key in order if key in owner} for owner in owners],
            f'Only one reference can have Controller set to true. Found "true" in references for {first} and {second}',
        )
