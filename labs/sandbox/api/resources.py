"""Create, read, change and delete over the store, with all that a real server does to an object on the way.

Plain functions of the store, no network: the HTTP API, the controllers and the control protocol all come through here.
"""

from __future__ import annotations

import copy
import secrets
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labs.sandbox.api import ages, hints, kinds, schema, status
from labs.sandbox.api.allocate import Allocator
from labs.sandbox.api.status import FieldErrors
from labs.sandbox.api.validate import metadata as metadata_rules

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.sandbox.api.kinds import Kind
    from labs.sandbox.store import Store

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""What Kubernetes makes generated names of: no vowels, no words."""

PROTECTED = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
"""Namespaces that may not be deleted."""

MOST_PODS = 1000
"""More than eight nodes of 110 pods would hold (kubelet's default). A real cluster lets them wait for nodes that nobody
will add here, and a slip of `--replicas` would keep this one busy for minutes."""

_SYSTEM_FIELDS = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


@dataclass(frozen=True, slots=True)
class Options:
    """How a write is made.

    Attributes:
        dry_run: everything but the write.
        validation: `Strict`, `Warn` or `Ignore`: what becomes of unknown fields.
    """

    dry_run: bool = False
    validation: str = "Strict"


@dataclass(frozen=True, slots=True)
class Written:
    """An object as it is after a write, and what the server has to say about it."""

    object: Manifest
    warnings: tuple[str, ...] = ()
    created: bool = False


@dataclass(slots=True)
class Resources:
    """The objects of one cluster with the rules of its API."""

    store: Store
    allocator: Allocator = field(init=False)

    def __post_init__(self) -> None:
        self.allocator = Allocator(self.store)

    def get(self, kind: Kind, namespace: str, name: str) -> Manifest:
        """The object.

        Raises:
            ApiError: 404.
        """
        found = self.store.get(kind.resource, namespace, name)
        if found is None:
            raise status.not_found(kind.resource, name)
        return found

    def create(self, kind: Kind, namespace: str, manifest: Manifest, options: Options = Options()) -> Written:
        """Make a new object.

        Raises:
            ApiError: it is refused.
        """
        made, warnings = self._decode(kind, manifest, options)
        metadata = made.setdefault("metadata", {})
        self._namespace(kind, metadata, namespace)
        for name in _SYSTEM_FIELDS:
            metadata.pop(name, None)
        metadata.pop("resourceVersion", None)
        if metadata.get("generateName") and not metadata.get("name"):
            metadata["name"] = metadata["generateName"][:58] + suffix()
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = ages.now_text()
        if kind.generation:
            metadata["generation"] = 1
        if kind.status and kind.resource != "nodes":
            made.pop("status", None)
        kind.default(made)
        errors = self._check(kind, made)
        self._refuse_in_ended_namespace(kind, namespace, metadata)
        now = self.store.get(kind.resource, namespace, metadata["name"])
        if now is not None:
            raise status.already_exists(
                kind.resource, metadata["name"], ends=bool(now["metadata"].get("deletionTimestamp"))
            )
        if kind.resource == "services":
            self.allocator.fill(made, errors)
            errors.raise_for(kind.kind, kind.group, metadata.get("name", ""))
        self._admit(kind, made)
        warnings += hints.about(kind, made)
        stored = made if options.dry_run else self.store.put(kind.resource, made)
        return Written(stored, tuple(warnings), created=True)

    def update(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        manifest: Manifest,
        options: Options = Options(),
        *,
        subresource: str = "",
    ) -> Written:
        """Put an object instead of what it is now; `subresource` is "" or "status".

        Raises:
            ApiError: it is refused.
        """
        made, warnings = self._decode(kind, manifest, options)
        metadata = made.setdefault("metadata", {})
        if metadata.get("name", name) != name:
            raise status.bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            )
        self._namespace(kind, metadata, namespace)
        old = self.get(kind, namespace, name)
        self._precondition(kind, metadata, old)
        metadata["name"] = name
        _keep_system_fields(metadata, old["metadata"])
        if kind.status:
            made = _only_status(made, old) if subresource == "status" else _all_but_status(made, old)
        errors = FieldErrors()
        if not subresource:
            kind.default(made)
            if kind.resource == "services":
                self.allocator.fill(made, errors, before=old)
            kind.validate_update(errors, made, old)
        self._check(kind, made, errors)
        self._finalizers(errors, made, old)
        errors.raise_for(kind.kind, kind.group, name)
        self._generation(kind, made, old)
        if same(made, old):
            return Written(old, tuple(warnings))
        warnings += [] if subresource else hints.about(kind, made)
        metadata = made["metadata"]
        if options.dry_run:
            metadata["resourceVersion"] = old["metadata"]["resourceVersion"]
            return Written(made, tuple(warnings))
        if _may_go(kind, metadata):
            self.store.remove(kind.resource, namespace, name)
            metadata["resourceVersion"] = str(self.store.version)
            return Written(made, tuple(warnings))
        return Written(self.store.put(kind.resource, made), tuple(warnings))

    def set_status(self, kind: Kind, manifest: Manifest, status_now: Manifest) -> Manifest:
        """Write a controller's finding; nothing happens when it is what is already there."""
        namespace, name = manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]
        now = self.store.get(kind.resource, namespace, name)
        if now is None or now.get("status") == status_now:
            return manifest if now is None else now
        return self.store.put(kind.resource, {**now, "status": status_now})

    def _decode(self, kind: Kind, manifest: Manifest, options: Options) -> tuple[Manifest, list[str]]:
        version = kind.api_version.rpartition("/")[2]
        what = f'{manifest.get("kind", kind.kind)} in version "{version}" cannot be handled as a {kind.kind}'
        decoded, complaints = schema.decode(manifest, kind.type, what)
        if complaints and options.validation == "Strict":
            raise status.bad_request(f"{what}: strict decoding error: {', '.join(complaints)}")
        made = {"apiVersion": kind.api_version, "kind": kind.kind} | decoded
        made |= {"apiVersion": kind.api_version, "kind": kind.kind}
        return made, complaints if options.validation == "Warn" else []

    @staticmethod
    def _namespace(kind: Kind, metadata: Manifest, namespace: str) -> None:
        if not kind.namespaced:
            metadata.pop("namespace", None)
            return
        if metadata.get("namespace", namespace) != namespace:
            raise status.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        metadata["namespace"] = namespace

    @staticmethod
    def _check(kind: Kind, manifest: Manifest, errors: FieldErrors | None = None) -> FieldErrors:
        found = FieldErrors()
        metadata_rules.check(found, manifest["metadata"], kind.name_problems)
        kind.validate(found, manifest)
        if errors is None:
            found.raise_for(kind.kind, kind.group, manifest["metadata"].get("name", ""))
            return found
        errors.found += found.found
        return errors

    def _refuse_in_ended_namespace(self, kind: Kind, namespace: str, metadata: Manifest) -> None:
        if not kind.namespaced:
            return
        home = self.store.get("namespaces", "", namespace)
        if home is None:
            raise status.not_found("namespaces", namespace)
        if home["metadata"].get("deletionTimestamp"):
            refusal = status.forbidden(
                kind.resource,
                metadata.get("name", ""),
                f"unable to create new content in namespace {namespace} because it is being terminated",
            )
            refusal.details = {
                **(refusal.details or {}),
                "causes": [
                    {
                        "reason": "NamespaceTerminating",
                        "message": f"namespace {namespace} is being terminated",
                        "field": "metadata.namespace",
                    }
                ],
            }
            raise refusal

    def _admit(self, kind: Kind, manifest: Manifest) -> None:
        """What admission does to a pod: there must be room and its ServiceAccount, and its token is mounted."""
        if kind.resource != "pods":
            return
        namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
        if self.store.count("pods") >= MOST_PODS:
            raise status.forbidden("pods", name, f"a netdojo sandbox holds at most {MOST_PODS} pods")
        account = manifest["spec"]["serviceAccountName"]
        if self.store.get("serviceaccounts", namespace, account) is None:
            if account != "default":
                why = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
                raise status.forbidden("pods", name, why)
            return
        if manifest["spec"].get("automountServiceAccountToken", True):
            _mount_token(manifest["spec"])

    @staticmethod
    def _precondition(kind: Kind, metadata: Manifest, old: Manifest) -> None:
        version = metadata.pop("resourceVersion", "")
        if version and version != old["metadata"]["resourceVersion"]:
            raise status.conflict(kind.resource, old["metadata"]["name"])
        uid = metadata.get("uid")
        if uid and uid != old["metadata"]["uid"]:
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}"
            raise status.conflict(kind.resource, old["metadata"]["name"], why)

    @staticmethod
    def _finalizers(errors: FieldErrors, made: Manifest, old: Manifest) -> None:
        if not old["metadata"].get("deletionTimestamp"):
            return
        before = old["metadata"].get("finalizers", ())
        added = [name for name in made["metadata"].get("finalizers", ()) if name not in before]
        if added:
            shown = ", ".join(f'"{name}"' for name in added)
            errors.forbidden(
                "metadata.finalizers",
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{shown}}}",
            )

    @staticmethod
    def _generation(kind: Kind, made: Manifest, old: Manifest) -> None:
        if "generation" not in old["metadata"]:
            return
        ignored = {"metadata", "status", "apiVersion", "kind"}
        changed = {k: v for k, v in made.items() if k not in ignored} != {
            k: v for k, v in old.items() if k not in ignored
        }
        made["metadata"]["generation"] = old["metadata"]["generation"] + (1 if kind.generation and changed else 0)


def _keep_system_fields(metadata: Manifest, old: Manifest) -> None:
    """What only the server writes stays as it is."""
    for key in _SYSTEM_FIELDS:
        metadata.pop(key, None)
        if key in old:
            metadata[key] = old[key]
    metadata.pop("generation", None)


def _may_go(kind: Kind, metadata: Manifest) -> bool:
    """Whether an object that ends has lost its last finalizer (pods and namespaces have controllers for that)."""
    ended = bool(metadata.get("deletionTimestamp")) and not metadata.get("finalizers")
    return ended and kind.resource not in {"pods", "namespaces"}


def same(made: Manifest, old: Manifest) -> bool:
    """Whether two states of an object differ in nothing but the resource version."""
    left, right = dict(made), dict(old)
    a, b = dict(left.pop("metadata")), dict(right.pop("metadata"))
    a.pop("resourceVersion", None)
    b.pop("resourceVersion", None)
    return left == right and a == b


def suffix(length: int = 5) -> str:
    """The random end of a generated name."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _only_status(made: Manifest, old: Manifest) -> Manifest:
    """What a write to the status subresource keeps: the status, and labels and annotations."""
    kept = copy.deepcopy(old)
    if "status" in made:
        kept["status"] = made["status"]
    for name in ("labels", "annotations", "finalizers", "managedFields"):
        if name in made["metadata"]:
            kept["metadata"][name] = made["metadata"][name]
        else:
            kept["metadata"].pop(name, None)
    return kept


def _all_but_status(made: Manifest, old: Manifest) -> Manifest:
    made.pop("status", None)
    if "status" in old:
        made["status"] = copy.deepcopy(old["status"])
    return made


def _mount_token(spec: dict[str, Any]) -> None:
    """The projected volume with the ServiceAccount's token, in every container."""
    where = "/var/run/secrets/kubernetes.io/serviceaccount"
    containers = [*spec["containers"], *spec.get("initContainers", ())]
    if all(any(m.get("mountPath") == where for m in c.get("volumeMounts", ())) for c in containers):
        return
    name = f"kube-api-access-{suffix()}"
    for container in containers:
        mounts = container.setdefault("volumeMounts", [])
        if not any(mount.get("mountPath") == where for mount in mounts):
            mounts.append({"name": name, "readOnly": True, "mountPath": where})
    reference = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": reference}]}},
    ]
    spec.setdefault("volumes", []).append({"name": name, "projected": {"sources": sources, "defaultMode": 420}})


def kind_of(manifest: Manifest) -> Kind:
    """The entry of an object's kind.

    Raises:
        ApiError: 404, as kubectl words it, when the API does not serve it.
    """
    api_version, name = manifest.get("apiVersion", ""), manifest.get("kind", "")
    found = kinds.named(api_version, name) if isinstance(api_version, str) and isinstance(name, str) else None
    if found is None:
        raise status.ApiError(404, "NotFound", f'no matches for kind "{name}" in version "{api_version}"', {})
    return found
