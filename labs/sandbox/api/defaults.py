"""What the API fills in where a manifest says nothing. Every function changes the object that it is given.

Source: k8s.io/kubernetes `pkg/apis/*/v1/defaults.go`; pods also get what the ServiceAccount, DefaultTolerationSeconds
and Priority admission plug-ins add.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grader.ports import Manifest


def pod(manifest: Manifest) -> None:
    """A Pod: its spec's defaults, and the two tolerations that every pod gets."""
    spec = manifest.setdefault("spec", {})
    pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", 0)
    account = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = account
    for container in spec.get("containers", []):
        limits = container["resources"].get("limits", {})
        if limits:
            requests = container["resources"].setdefault("requests", {})
            for name, amount in limits.items():
                requests.setdefault(name, amount)
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(t.get("key") in {None, key} and t.get("effect") in {None, "NoExecute"} for t in tolerations):
            tolerations.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
    manifest["status"] = {"phase": "Pending", "qosClass": quality_of_service(spec)} | manifest.get("status", {})


def quality_of_service(spec: Manifest) -> str:
    """BestEffort, Burstable or Guaranteed, from the containers' requests and limits."""
    resources = [c.get("resources", {}) for c in (*spec.get("containers", ()), *spec.get("initContainers", ()))]
    if not any(r.get("requests") or r.get("limits") for r in resources):
        return "BestEffort"
    guaranteed = all(
        {"cpu", "memory"} <= set(r.get("limits", {})) and r.get("requests", r["limits"]) == r["limits"]
        for r in resources
    )
    return "Guaranteed" if guaranteed else "Burstable"


def pod_spec(spec: Manifest) -> None:
    """The spec of a pod or of a template."""
    for name, value in (
        ("dnsPolicy", "ClusterFirst"),
        ("restartPolicy", "Always"),
        ("terminationGracePeriodSeconds", 30),
        ("securityContext", {}),
        ("schedulerName", "default-scheduler"),
    ):
        spec.setdefault(name, dict(value) if isinstance(value, dict) else value)
    for field in ("containers", "initContainers"):
        for container in spec.get(field, []):
            _container(container, host_network=bool(spec.get("hostNetwork")))
    for volume in spec.get("volumes", []):
        _volume(volume)


def ephemeral_container(container: Manifest) -> None:
    """A container that is added to a running pod."""
    _container(container, host_network=False)


def _container(container: Manifest, *, host_network: bool) -> None:
    image = container.get("image", "")
    tag = image.rsplit("/", 1)[-1]
    latest = "@" not in tag and (":" not in tag or tag.endswith(":latest"))
    if image:
        container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
    container.setdefault("resources", {})
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    for port in container.get("ports", []):
        port.setdefault("protocol", "TCP")
        if host_network and port.get("containerPort"):
            port.setdefault("hostPort", port["containerPort"])
    for variable in container.get("env", []):
        reference = variable.get("valueFrom", {}).get("fieldRef")
        if reference is not None:
            reference.setdefault("apiVersion", "v1")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container:
            _probe(container[probe])


def _probe(probe: Manifest) -> None:
    for name, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        probe.setdefault(name, value)
    if "httpGet" in probe:
        probe["httpGet"].setdefault("path", "/")
        probe["httpGet"].setdefault("scheme", "HTTP")
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def _volume(volume: Manifest) -> None:
    for source in ("secret", "configMap", "downwardAPI", "projected"):
        if source in volume:
            volume[source].setdefault("defaultMode", 420)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    if len(volume) == 1:
        volume["emptyDir"] = {}


def service(manifest: Manifest) -> None:
    """A Service; addresses and node ports are allocated by `labs.sandbox.api.allocate`."""
    spec = manifest.setdefault("spec", {})
    kind = spec.setdefault("type", "ClusterIP")
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    affinity = spec.setdefault("sessionAffinity", "None")
    if affinity == "ClientIP":
        config = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        config.setdefault("timeoutSeconds", 10800)
    else:
        spec.pop("sessionAffinityConfig", None)
    for port in spec.get("ports", []):
        port.setdefault("protocol", "TCP")
        if port.get("targetPort") in {None, "", 0}:
            port["targetPort"] = port.get("port", 0)
    if kind != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind in {"NodePort", "LoadBalancer"} or spec.get("externalIPs"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    manifest.setdefault("status", {}).setdefault("loadBalancer", {})


def endpoints(manifest: Manifest) -> None:
    """Endpoints: ports are TCP."""
    for subset in manifest.get("subsets", []):
        for port in subset.get("ports", []):
            port.setdefault("protocol", "TCP")


def endpoint_slice(manifest: Manifest) -> None:
    """An EndpointSlice: ports are TCP and have a name, if an empty one."""
    for port in manifest.setdefault("ports", []) or []:
        port.setdefault("protocol", "TCP")
        port.setdefault("name", "")
    manifest["endpoints"] = manifest.get("endpoints") or []


def network_policy(manifest: Manifest) -> None:
    """A NetworkPolicy: Ingress always, Egress when there are egress rules; ports are TCP."""
    spec = manifest.setdefault("spec", {})
    spec.setdefault("podSelector", {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    for rule in (*spec.get("ingress", ()), *spec.get("egress", ())):
        for port in rule.get("ports", ()):
            port.setdefault("protocol", "TCP")


def deployment(manifest: Manifest) -> None:
    """A Deployment: one replica, rolling by quarters."""
    spec = manifest.setdefault("spec", {})
    _template(spec)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    for name, value in (("replicas", 1), ("revisionHistoryLimit", 10), ("progressDeadlineSeconds", 600)):
        spec.setdefault(name, value)


def replica_set(manifest: Manifest) -> None:
    """A ReplicaSet: one replica."""
    spec = manifest.setdefault("spec", {})
    _template(spec)
    spec.setdefault("replicas", 1)
    manifest.setdefault("status", {}).setdefault("replicas", 0)


def stateful_set(manifest: Manifest) -> None:
    """A StatefulSet: one replica, in order."""
    spec = manifest.setdefault("spec", {})
    _template(spec)
    spec.setdefault("podManagementPolicy", "OrderedReady")
    update = spec.setdefault("updateStrategy", {})
    if update.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = update.setdefault("rollingUpdate", {})
        rolling.setdefault("partition", 0)
        rolling.setdefault("maxUnavailable", 1)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    retention.setdefault("whenDeleted", "Retain")
    retention.setdefault("whenScaled", "Retain")
    for name, value in (("replicas", 1), ("revisionHistoryLimit", 10)):
        spec.setdefault(name, value)
    status = manifest.setdefault("status", {})
    status.setdefault("replicas", 0)
    status.setdefault("availableReplicas", 0)


def daemon_set(manifest: Manifest) -> None:
    """A DaemonSet: rolling, one node at a time."""
    spec = manifest.setdefault("spec", {})
    _template(spec)
    update = spec.setdefault("updateStrategy", {})
    if update.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = update.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
    spec.setdefault("revisionHistoryLimit", 10)
    status = manifest.setdefault("status", {})
    for name in ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"):
        status.setdefault(name, 0)


def _template(spec: dict[str, Any]) -> None:
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    pod_spec(template.setdefault("spec", {}))


def namespace(manifest: Manifest) -> None:
    """A Namespace: its name as a label, and the finalizer that empties it."""
    metadata = manifest["metadata"]
    if metadata.get("name"):
        metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata["name"]
    manifest["spec"] = {"finalizers": ["kubernetes"]} | manifest.get("spec", {})
    manifest.setdefault("status", {}).setdefault("phase", "Active")


def secret(manifest: Manifest) -> None:
    """A Secret: opaque; `stringData` becomes `data`."""
    manifest.setdefault("type", "Opaque")
    for name, text in manifest.pop("stringData", {}).items():
        manifest.setdefault("data", {})[name] = base64.b64encode(text.encode()).decode()


def node(manifest: Manifest) -> None:
    """A Node as somebody posts it: no status yet."""
    manifest.setdefault("spec", {})
    manifest.setdefault("status", {})


def nothing(_manifest: Manifest) -> None:
    """A kind without defaults."""
