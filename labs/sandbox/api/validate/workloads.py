"""Deployment, ReplicaSet, StatefulSet, DaemonSet. Source: `pkg/apis/apps/validation/validation.go`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from labs.sandbox.api.validate import common
from labs.sandbox.api.validate.pods import pod_spec

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.sandbox.api.status import FieldErrors

_PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
    "validation is '[0-9]+%')"
)
_IMMUTABLE = "field is immutable"


def deployment(errors: FieldErrors, manifest: Manifest) -> None:
    """Check a Deployment with its defaults."""
    spec = manifest["spec"]
    _replicas(errors, spec)
    _template(errors, spec)
    strategy = spec["strategy"]
    rolling = strategy.get("rollingUpdate")
    if strategy["type"] == "Recreate":
        if rolling is not None:
            errors.forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    elif strategy["type"] == "RollingUpdate":
        surge, missing = rolling["maxSurge"], rolling["maxUnavailable"]
        for field, value in (("maxUnavailable", missing), ("maxSurge", surge)):
            _share(errors, f"spec.strategy.rollingUpdate.{field}", value)
        if _is_zero(surge) and _is_zero(missing):
            errors.invalid("spec.strategy.rollingUpdate.maxUnavailable", missing, "may not be 0 when `maxSurge` is 0")
    else:
        _strategy(errors, "spec.strategy", strategy, ("Recreate", "RollingUpdate"))
    _not_negative(errors, spec, "minReadySeconds", "revisionHistoryLimit")
    if spec["progressDeadlineSeconds"] <= spec.get("minReadySeconds", 0):
        deadline = spec["progressDeadlineSeconds"]
        errors.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def replica_set(errors: FieldErrors, manifest: Manifest) -> None:
    """Check a ReplicaSet with its defaults."""
    _replicas(errors, manifest["spec"])
    _template(errors, manifest["spec"])


def stateful_set(errors: FieldErrors, manifest: Manifest) -> None:
    """Check a StatefulSet with its defaults."""
    spec = manifest["spec"]
    policies = ("OrderedReady", "Parallel")
    if spec["podManagementPolicy"] not in policies:
        errors.invalid("spec.podManagementPolicy", spec["podManagementPolicy"], "must be 'OrderedReady' or 'Parallel'")
    if spec["updateStrategy"]["type"] not in {"RollingUpdate", "OnDelete"}:
        errors.invalid("spec.updateStrategy", spec["updateStrategy"], "must be 'RollingUpdate' or 'OnDelete'")
    _replicas(errors, spec)
    _template(errors, spec)


def daemon_set(errors: FieldErrors, manifest: Manifest) -> None:
    """Check a DaemonSet with its defaults."""
    spec = manifest["spec"]
    _template(errors, spec)
    if spec["updateStrategy"]["type"] not in {"RollingUpdate", "OnDelete"}:
        _strategy(errors, "spec.updateStrategy", spec["updateStrategy"], ("RollingUpdate", "OnDelete"))
    _not_negative(errors, spec, "minReadySeconds", "revisionHistoryLimit")


def same_selector(errors: FieldErrors, new: Manifest, old: Manifest) -> None:
    """Check that the selector stays as it was made."""
    if new["spec"]["selector"] != old["spec"]["selector"]:
        errors.invalid("spec.selector", new["spec"]["selector"], _IMMUTABLE)


def stateful_set_update(errors: FieldErrors, new: Manifest, old: Manifest) -> None:
    """Check that only what may change in a StatefulSet changes."""
    may = (
        "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
    )  # fmt: skip
    rest = [{key: value for key, value in manifest["spec"].items() if key not in may} for manifest in (new, old)]
    if rest[0] != rest[1]:
        listed = ", ".join(f"'{field}'" for field in may[:-1]) + f" and '{may[-1]}'"
        errors.forbidden("spec", f"updates to statefulset spec for fields other than {listed} are forbidden")


def _replicas(errors: FieldErrors, spec: dict[str, Any]) -> None:
    _not_negative(errors, spec, "replicas")


def _not_negative(errors: FieldErrors, spec: dict[str, Any], *names: str) -> None:
    for name in names:
        if spec.get(name, 0) < 0:
            errors.invalid(f"spec.{name}", spec[name], common.NEGATIVE)


def _template(errors: FieldErrors, spec: dict[str, Any]) -> None:
    selector = spec.get("selector") or {}
    common.selector(errors, "spec.selector", selector)
    if not selector:
        errors.invalid("spec.selector", selector, "empty selector is invalid for deployment")
    template = spec["template"]
    labels = template["metadata"].get("labels")
    if selector and not common.matches(selector, labels or {}):
        errors.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    common.labels(errors, "spec.template.labels", labels or {})
    pod_spec(errors, "spec.template.spec", template["spec"])
    if template["spec"]["restartPolicy"] in {"OnFailure", "Never"}:
        errors.unsupported("spec.template.spec.restartPolicy", template["spec"]["restartPolicy"], ("Always",))


def _strategy(errors: FieldErrors, at: str, strategy: dict[str, Any], supported: tuple[str, ...]) -> None:
    """An unknown strategy is shown as the server's own struct."""
    shown = {"Type": strategy["type"], "RollingUpdate": strategy.get("rollingUpdate")}
    errors.unsupported(at, shown, supported)


def _share(errors: FieldErrors, at: str, value: object) -> None:
    if isinstance(value, str):
        if not re.fullmatch("[0-9]+%", value):
            errors.invalid(at, value, _PERCENT)
    elif isinstance(value, int) and value < 0:
        errors.invalid(at, value, common.NEGATIVE)


def _is_zero(value: object) -> bool:
    return value in {0, "0%"}
