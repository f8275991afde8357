"""JSON objects to the models of `grader.kube.model`; errors name the field's path as the API server does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grader.kube.model import Objects
    from grader.ports import Manifest


def read_objects(manifests: Iterable[Manifest], *, default_namespace: str = "default") -> Objects:
    """Parse every object that decides traffic; workloads without pods get one stand-in pod a replica.

    Raises:
        content.errors.BrokenContentError: an object that the API would refuse, by kind, name and field path.
    """
    raise NotImplementedError(manifests, default_namespace)
