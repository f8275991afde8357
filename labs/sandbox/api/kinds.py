"""The kinds that the API serves: one entry each, data alone. A new kind is a new entry and its functions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from labs.sandbox.api import columns, defaults
from labs.sandbox.api.validate import common, core, pods, policies, services, workloads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grader.ports import Manifest
    from labs.sandbox.api.columns import Column
    from labs.sandbox.api.status import FieldErrors

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind is named, shown, filled in and checked.

    Attributes:
        type: its name in the field tables (`labs.sandbox.api.schema`).
        generation: `metadata.generation` counts changes of what is not metadata or status.
        status: it has a status that only the status subresource changes.
        scale: it has a number of replicas that the scale subresource changes.
        writable: False for what is derived (it is then read-only).
        warning: what the server tells everybody who uses it.
        fields: what a field selector may name besides name and namespace, with the path and the value of nothing.
    """

    kind: str
    plural: str
    type: str
    group: str = ""
    version: str = "v1"
    short: tuple[str, ...] = ()
    namespaced: bool = True
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = VERBS
    generation: bool = False
    status: bool = False
    scale: bool = False
    warning: str = ""
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)
    name_problems: Callable[[str], list[str]] = common.subdomain_problems
    default: Callable[[Manifest], None] = defaults.nothing
    validate: Callable[[FieldErrors, Manifest], None] = core.nothing
    validate_update: Callable[[FieldErrors, Manifest, Manifest], None] = core.nothing_new
    columns: tuple[Column, ...] = columns.NAME_AND_AGE

    @property
    def resource(self) -> str:
        """`networkpolicies.networking.k8s.io`; its key in the store."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        """`networking.k8s.io/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """`networkpolicy`."""
        return self.kind.lower()


KINDS = (
    Kind(
        "ConfigMap", "configmaps", "core.v1.ConfigMap", short=("cm",), columns=columns.CONFIG_MAP,
        validate=core.config_map, validate_update=core.config_map_update,
    ),
    Kind(
        "Endpoints", "endpoints", "core.v1.Endpoints", short=("ep",), columns=columns.ENDPOINTS,
        default=defaults.endpoints, validate=core.endpoints,
        warning="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    ),
    Kind(
        "Event", "events", "core.v1.Event", short=("ev",), columns=columns.EVENT, validate=core.event,
        fields={
            "involvedObject.kind": "involvedObject.kind", "involvedObject.namespace": "involvedObject.namespace",
            "involvedObject.name": "involvedObject.name", "involvedObject.uid": "involvedObject.uid",
            "involvedObject.apiVersion": "involvedObject.apiVersion",
            "involvedObject.resourceVersion": "involvedObject.resourceVersion",
            "involvedObject.fieldPath": "involvedObject.fieldPath", "reason": "reason", "source": "source.component",
            "type": "type", "reportingComponent": "reportingComponent",
        },
    ),
    Kind(
        "Namespace", "namespaces", "core.v1.Namespace", short=("ns",), namespaced=False, status=True,
        verbs=tuple(verb for verb in VERBS if verb != "deletecollection"), columns=columns.NAMESPACE,
        name_problems=common.label_problems, default=defaults.namespace, fields={"status.phase": "status.phase"},
    ),
    Kind(
        "Node", "nodes", "core.v1.Node", short=("no",), namespaced=False, status=True, columns=columns.NODE,
        default=defaults.node, fields={"spec.unschedulable": "spec.unschedulable"},
    ),
    Kind(
        "Pod", "pods", "core.v1.Pod", short=("po",), categories=("all",), generation=True, status=True,
        columns=columns.POD, default=defaults.pod, validate=pods.pod, validate_update=pods.pod_update,
        fields={
            "spec.nodeName": "spec.nodeName", "spec.restartPolicy": "spec.restartPolicy",
            "spec.schedulerName": "spec.schedulerName", "spec.serviceAccountName": "spec.serviceAccountName",
            "spec.hostNetwork": "spec.hostNetwork", "status.phase": "status.phase", "status.podIP": "status.podIP",
            "status.nominatedNodeName": "status.nominatedNodeName",
        },
    ),
    Kind(
        "Secret", "secrets", "core.v1.Secret", columns=columns.SECRET, default=defaults.secret, validate=core.secret,
        validate_update=core.secret_update, fields={"type": "type"},
    ),
    Kind("ServiceAccount", "serviceaccounts", "core.v1.ServiceAccount", short=("sa",)),
    Kind(
        "Service", "services", "core.v1.Service", short=("svc",), categories=("all",), status=True,
        columns=columns.SERVICE, name_problems=common.label_problems, default=defaults.service,
        validate=services.service, validate_update=services.service_update,
        fields={"spec.clusterIP": "spec.clusterIP", "spec.type": "spec.type"},
    ),
    Kind(
        "ControllerRevision", "controllerrevisions", "apps.v1.ControllerRevision", group="apps",
        columns=columns.CONTROLLER_REVISION,
    ),
    Kind(
        "DaemonSet", "daemonsets", "apps.v1.DaemonSet", group="apps", short=("ds",), categories=("all",),
        generation=True, status=True, columns=columns.DAEMON_SET, default=defaults.daemon_set,
        validate=workloads.daemon_set, validate_update=workloads.same_selector,
    ),
    Kind(
        "Deployment", "deployments", "apps.v1.Deployment", group="apps", short=("deploy",), categories=("all",),
        generation=True, status=True, scale=True, columns=columns.DEPLOYMENT, default=defaults.deployment,
        validate=workloads.deployment, validate_update=workloads.same_selector,
    ),
    Kind(
        "ReplicaSet", "replicasets", "apps.v1.ReplicaSet", group="apps", short=("rs",), categories=("all",),
        generation=True, status=True, scale=True, columns=columns.REPLICA_SET, default=defaults.replica_set,
        validate=workloads.replica_set, validate_update=workloads.same_selector,
        fields={"status.replicas": "status.replicas"},
    ),
    Kind(
        "StatefulSet", "statefulsets", "apps.v1.StatefulSet", group="apps", short=("sts",), categories=("all",),
        generation=True, status=True, scale=True, columns=columns.STATEFUL_SET, default=defaults.stateful_set,
        validate=workloads.stateful_set, validate_update=workloads.stateful_set_update,
    ),
    Kind(
        "EndpointSlice", "endpointslices", "discovery.v1.EndpointSlice", group="discovery.k8s.io", generation=True,
        columns=columns.ENDPOINT_SLICE, default=defaults.endpoint_slice, validate=core.endpoint_slice,
        validate_update=core.endpoint_slice_update,
    ),
    Kind(
        "NetworkPolicy", "networkpolicies", "networking.v1.NetworkPolicy", group="networking.k8s.io",
        short=("netpol",), generation=True, columns=columns.NETWORK_POLICY, default=defaults.network_policy,
        validate=policies.network_policy,
    ),
)  # fmt: skip

BY_RESOURCE = {kind.resource: kind for kind in KINDS}
_BY_NAME = {(kind.api_version, kind.kind): kind for kind in KINDS}
_BY_PATH = {(kind.group, kind.version, kind.plural): kind for kind in KINDS}


def named(api_version: str, kind: str) -> Kind | None:
    """The entry for an object's apiVersion and kind."""
    return _BY_NAME.get((api_version, kind))


def at_path(group: str, version: str, plural: str) -> Kind | None:
    """The entry for a URL's group, version and resource."""
    return _BY_PATH.get((group, version, plural))
