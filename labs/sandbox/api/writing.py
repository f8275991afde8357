"""create, update, patch, delete as requests make them, with the subresources that change an object."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from labs.sandbox.api import defaults, deletion, kinds, ownership, patch, reading, requests, schema, status
from labs.sandbox.api.resources import Options, Resources, Written
from labs.sandbox.api.status import ApiError, FieldErrors, bad_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.ports import Manifest
    from labs.sandbox.api.requests import Target

APPLY = "application/apply-patch+yaml"
_PATCHES = {
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    APPLY,
}


class Writer:
    """Carries out writes for one request's options.

    Args:
        resources: the cluster's objects.
        query: the request's query.
        agent: the client's User-Agent, which names it when the query does not.
    """

    def __init__(self, resources: Resources, query: Mapping[str, str], agent: str) -> None:
        self._resources = resources
        self._query = query
        self._manager = query.get("fieldManager") or agent.partition("/")[0] or "unknown"

    def create(self, target: Target, body: Manifest) -> Written:
        """POST to a collection.

        Raises:
            ApiError: it is refused.
        """
        options = requests.options(self._query, "CreateOptions")
        _same_kind(target, body)
        made = self._resources.create(target.kind, target.namespace, body, Options(True, options.validation))
        owned = ownership.changed(None, made.object, self._manager, target.kind)
        if options.dry_run:
            return Written(owned, made.warnings, created=True)
        stored = self._resources.store.put(target.kind.resource, owned)
        return Written(stored, made.warnings, created=True)

    def update(self, target: Target, body: Manifest) -> Written:
        """PUT on an object or its status.

        Raises:
            ApiError: it is refused.
        """
        options = requests.options(self._query, "UpdateOptions")
        _same_kind(target, body)
        if target.subresource == "scale":
            return self._scale(target, body, options)
        return self._put(target, body, options)

    def _put(self, target: Target, body: Manifest, options: Options) -> Written:
        named = (body.get("metadata") or {}).get("name")
        if isinstance(named, str) and named and named != target.name:
            raise bad_request(f"the name of the object ({named}) does not match the name on the URL ({target.name})")
        old = self._resources.get(target.kind, target.namespace, target.name)
        body = ownership.keep(body, old)
        kind, namespace, name = target.kind, target.namespace, target.name
        trial = self._resources.update(
            kind, namespace, name, body, Options(True, options.validation), subresource=target.subresource
        )
        if trial.object is old or options.dry_run:
            return trial
        owned = ownership.changed(old, trial.object, self._manager, kind, target.subresource)
        done = self._resources.update(
            kind, namespace, name, owned, Options(False, "Ignore"), subresource=target.subresource
        )
        return Written(done.object, trial.warnings)

    def patch(self, target: Target, raw: bytes, content_type: str) -> Written:
        """PATCH of any type.

        Raises:
            ApiError: it is refused.
        """
        media = content_type.partition(";")[0].strip()
        options = self._patch_options(media)
        if media == APPLY:
            return self._apply(target, raw, options)
        try:
            given = requests.parse_json(raw)
        except ValueError:
            raise bad_request("invalid JSON patch") from None
        if target.subresource == "scale":
            scale = patch.merge(self.scale(target), given)
            return self._scale(target, scale, options)
        old = self._resources.get(target.kind, target.namespace, target.name)
        made = _patched(old, given, media, target)
        if made["metadata"].get("resourceVersion") == old["metadata"]["resourceVersion"]:
            made["metadata"].pop("resourceVersion")
        if target.subresource == "ephemeralcontainers":
            return self._ephemeral(old, made["spec"].get("ephemeralContainers", []), options)
        try:
            return self._put(target, made, options)
        except ApiError as error:
            raise _as_patch_error(error, given) from None

    def _patch_options(self, media: str) -> Options:
        if media not in _PATCHES:
            raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
        errors = FieldErrors()
        if media == APPLY and not self._query.get("fieldManager"):
            errors.required("fieldManager", "is required for apply patch")
        if media != APPLY and "force" in self._query:
            errors.forbidden("force", "may not be specified for non-apply patch")
        errors.raise_for("PatchOptions", "meta.k8s.io", "")
        return requests.options(self._query, "PatchOptions")

    def _ephemeral(self, pod: Manifest, containers: list[Manifest], options: Options) -> Written:
        for container in containers:
            defaults.ephemeral_container(container)
        made = {**pod, "spec": {**pod["spec"], "ephemeralContainers": containers}}
        return Written(made if options.dry_run else self._resources.store.put("pods", made))

    def _apply(self, target: Target, raw: bytes, options: Options) -> Written:
        try:
            given = requests.parse_json(raw)
        except ValueError:
            given = requests.from_yaml(raw)
        if not isinstance(given, dict):
            raise bad_request("error decoding YAML: json: cannot unmarshal into Go value of type map")
        return ownership.apply(
            self._resources, target, given, self._manager, options, force=self._query.get("force") == "true"
        )

    def scale(self, target: Target) -> Manifest:
        """The Scale of a workload.

        Raises:
            ApiError: 404.
        """
        found = self._resources.get(target.kind, target.namespace, target.name)
        metadata = found["metadata"]
        kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        terms = found["spec"]["selector"].get("matchLabels", {})
        return {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {key: metadata[key] for key in kept if key in metadata},
            "spec": {"replicas": found["spec"]["replicas"]} if found["spec"]["replicas"] else {},
            "status": {
                "replicas": found.get("status", {}).get("replicas", 0),
                "selector": ",".join(f"{key}={value}" for key, value in sorted(terms.items())),
            },
        }

    def _scale(self, target: Target, scale: Manifest, options: Options) -> Written:
        replicas = (scale.get("spec") or {}).get("replicas", 0)
        name = target.name
        if not isinstance(replicas, int) or isinstance(replicas, bool):
            raise bad_request(
                'Scale in version "v1" cannot be handled as a Scale: json: cannot unmarshal string into '
                "Go struct field ScaleSpec.spec.replicas of type int32"
            )
        errors = FieldErrors()
        if replicas < 0:
            errors.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        errors.raise_for("Scale", "autoscaling", name)
        old = self._resources.get(target.kind, target.namespace, name)
        version = (scale.get("metadata") or {}).get("resourceVersion")
        if version and version != old["metadata"]["resourceVersion"]:
            raise status.conflict(target.kind.resource, name)
        made = copy.deepcopy(old)
        made["spec"]["replicas"] = replicas
        made["metadata"].pop("resourceVersion")
        plain = requests.Target(target.kind, target.namespace, name)
        done = self._put(plain, made, options)
        answer = self.scale(target)
        if options.dry_run:
            answer["spec"] = {"replicas": replicas}
        return Written(answer, done.warnings)

    def delete(self, target: Target, body: Manifest) -> Manifest:
        """DELETE of an object.

        Raises:
            ApiError: it is refused.
        """
        return deletion.delete(self._resources, target.kind, target.namespace, target.name, self._how(body))

    def delete_all(self, target: Target, body: Manifest) -> Manifest:
        """DELETE of a collection, as far as the selectors go; returns what was deleted as a list."""
        how = self._how(body)
        found = reading.page(self._resources.store, target, self._query)
        for item in found.items:
            metadata = item["metadata"]
            deletion.delete(self._resources, target.kind, metadata.get("namespace", ""), metadata["name"], how)
        return {
            "kind": f"{target.kind.kind}List",
            "apiVersion": target.kind.api_version,
            "metadata": found.metadata,
            "items": found.items,
        }

    def _how(self, body: Manifest) -> deletion.Deletion:
        requests.options(self._query, "DeleteOptions")
        preconditions = body.get("preconditions") or {}
        grace: Any = body.get("gracePeriodSeconds")
        if grace is None and self._query.get("gracePeriodSeconds"):
            grace = requests.number(self._query, "gracePeriodSeconds")
        dry = bool(body.get("dryRun")) or self._query.get("dryRun") == "All"
        propagation = str(body.get("propagationPolicy") or self._query.get("propagationPolicy") or "")
        return deletion.Deletion(
            propagation=propagation,
            grace=grace if isinstance(grace, int) else None,
            uid=str(preconditions.get("uid") or ""),
            version=str(preconditions.get("resourceVersion") or ""),
            dry_run=dry,
        )


def _patched(old: Manifest, given: Any, media: str, target: Target) -> Manifest:  # noqa: ANN401 - JSON
    if media == "application/json-patch+json":
        made = patch.json_patch(old, given)
    elif media == "application/merge-patch+json":
        made = patch.merge(old, given)
    else:
        made = patch.strategic(old, given, target.kind.type)
    made = copy.deepcopy(made)
    if not isinstance(made, dict) or not isinstance(made.get("metadata"), dict):
        raise bad_request("the patched object has no metadata")
    return made


def _as_patch_error(error: ApiError, given: Any) -> ApiError:  # noqa: ANN401 - JSON
    """What cannot be decoded after a patch is the patch's fault."""
    what = error.message.partition(": ")[2]
    if error.code != 400 or "cannot be handled as" not in error.message:
        return error
    if "Go struct field" in what:
        what = f"unrecognized type: {what.rpartition(' of type ')[2]}"
    told = f"Invalid value: {status.show(_go_map(given))}: {what}"
    cause = {"reason": "FieldValueInvalid", "message": told, "field": "patch"}
    return ApiError(422, "Invalid", f' "" is invalid: patch: {told}', {"causes": [cause]})


def _go_map(value: Any) -> str:  # noqa: ANN401 - JSON
    """A value as Go's `%+v` shows it."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_go_map(item)}' for key, item in sorted(value.items()))}]"
    if isinstance(value, list):
        return f"[{' '.join(_go_map(item) for item in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "<nil>" if value is None else str(value)


def _same_kind(target: Target, body: Manifest) -> None:
    """Refuse a body whose group and version are not the path's."""
    if target.subresource == "scale":
        return
    version, kind = body.get("apiVersion"), body.get("kind")
    other = kinds.named(str(version), str(kind)) if kind != target.kind.kind else None
    if other is not None:
        what = f'{kind} in version "{other.version}" cannot be handled as a {target.kind.kind}'
        schema.decode(body, other.type, what)
        raise bad_request(f"{what}: converting ({other.version}.{kind}) to ({target.kind.kind}): unknown conversion")
    if isinstance(version, str) and version and version != target.kind.api_version:
        short = version.rpartition("/")[2]
        raise bad_request(
            f'{kind} in version "{short}" cannot be handled as a {target.kind.kind}: no kind "{kind}" is registered '
            f'for version "{version}" in scheme "pkg/runtime/scheme.go:111"'
        )
