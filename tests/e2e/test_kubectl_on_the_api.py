"""Real kubectl against the API: what people type every day."""

from __future__ import annotations

import json
import stat
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kubectl

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: main, image: "nginx:1.27", ports: [{containerPort: 80, name: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
"""
POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: shop}}}]
    ports: [{port: 80}]
"""


@pytest.fixture
def kubectl(kube_api: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """kubectl in a namespace of the test's own."""
    namespace = f"t{abs(hash(request.node.name)) % 10**8}"
    kube_api("create", "namespace", namespace)

    def run(*arguments: str, stdin: str = "", fails: bool = False) -> str:
        done = kube_api.run("-n", namespace, *arguments, stdin=stdin)
        assert (done.returncode != 0) is fails, done.stderr + done.stdout
        return str(done.stderr if fails else done.stdout)

    run.namespace = namespace  # type: ignore[attr-defined]
    run.api = kube_api  # type: ignore[attr-defined]
    yield run
    kube_api("delete", "namespace", namespace)


def test_apply_again_and_again(kubectl: Any) -> None:
    assert kubectl("apply", "-f", "-", stdin=WEB) == "deployment.apps/web created\nservice/web created\n"
    assert kubectl("apply", "-f", "-", stdin=WEB) == "deployment.apps/web unchanged\nservice/web unchanged\n"
    changed = WEB.replace("replicas: 2", "replicas: 3")
    assert kubectl("apply", "-f", "-", stdin=changed).startswith("deployment.apps/web configured\n")
    assert len(kubectl("get", "pods", "-o", "name").split()) == 3
    assert "-  replicas: 3" in kubectl.api.run("-n", kubectl.namespace, "diff", "-f", "-", stdin=WEB).stdout


def test_get_describe_and_columns(kubectl: Any) -> None:
    kubectl("apply", "-f", "-", stdin=WEB + "---" + POLICY)
    pods = kubectl("get", "pods", "-o", "wide")
    assert pods.splitlines()[0].split()[:7] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"]
    assert pods.count("1/1") == pods.count("Running") == 2
    assert kubectl("get", "netpol").split()[:5] == ["NAME", "POD-SELECTOR", "AGE", "web", "app=web"]
    described = kubectl("describe", "networkpolicy", "web")
    assert "Allowing ingress traffic:\n    To Port: 80/TCP\n    From:\n      PodSelector: app=shop\n" in described
    assert "Endpoints:" in kubectl("describe", "service", "web")
    assert kubectl("get", "svc", "web", "-o", "jsonpath={.spec.ports[0].targetPort}") == "http"
    assert "web" in kubectl("get", "all")
    assert "Started" in kubectl("get", "events")


def test_refusals_are_kubernetes_own(kubectl: Any) -> None:
    wrong = POLICY.replace("{podSelector: {matchLabels: {app: shop}}}", "{ipBlock: {cidr: 10.0.0.0}}")
    assert kubectl("apply", "-f", "-", stdin=wrong, fails=True) == (
        'The NetworkPolicy "web" is invalid: spec.ingress[0].from[0].ipBlock.cidr: Invalid value: "10.0.0.0": '
        "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)\n"
    )
    misspelt = POLICY.replace("ingress:", "ingres:")
    assert 'strict decoding error: unknown field "spec.ingres"' in kubectl(
        "apply", "-f", "-", stdin=misspelt, fails=True
    )
    assert kubectl("get", "netpol", "x", fails=True) == (
        'Error from server (NotFound): networkpolicies.networking.k8s.io "x" not found\n'
    )


def test_label_patch_and_edit(kubectl: Any, tmp_path: Any) -> None:
    kubectl("apply", "-f", "-", stdin=POLICY)
    kubectl("label", "netpol", "web", "team=red")
    assert "team=red" in kubectl("get", "netpol", "web", "--show-labels")
    kubectl("patch", "netpol", "web", "--type=merge", "-p", '{"spec":{"policyTypes":["Ingress","Egress"]}}')
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/port: 80/port: 8080/" "$1"\n')
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    api = kubectl.api
    done = subprocess.run(
        [api.kubectl, "-n", kubectl.namespace, "edit", "netpol", "web"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "KUBECONFIG": str(api.kubeconfig), "EDITOR": str(editor)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout == "networkpolicy.networking.k8s.io/web edited\n", done.stderr
    spec = json.loads(kubectl("get", "netpol", "web", "-o", "json"))["spec"]
    assert spec["ingress"][0]["ports"] == [{"port": 8080, "protocol": "TCP"}]
    assert spec["policyTypes"] == ["Ingress", "Egress"]


def test_rollouts(kubectl: Any) -> None:
    kubectl("apply", "-f", "-", stdin=WEB)
    kubectl("set", "image", "deployment/web", "main=nginx:1.28")
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/web")
    assert kubectl("rollout", "history", "deployment/web").count("<none>") == 2
    kubectl("rollout", "undo", "deployment/web")
    images = kubectl("get", "pods", "-o", "jsonpath={.items[*].spec.containers[0].image}")
    assert images == "nginx:1.27 nginx:1.27"
    kubectl("scale", "deployment/web", "--replicas=0")
    assert kubectl("get", "pods", "-o", "name") == ""


def test_waiting(kubectl: Any) -> None:
    kubectl("apply", "-f", "-", stdin=WEB)
    kubectl("wait", "--for=condition=Available", "deployment/web", "--timeout=10s")
    kubectl("wait", "--for=condition=Ready", "pod", "-l", "app=web", "--timeout=10s")
    waiting = subprocess.Popen(
        [kubectl.api.kubectl, "-n", kubectl.namespace, "wait", "--for=delete", "service/web", "--timeout=20s"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(kubectl.api.folder), "KUBECONFIG": str(kubectl.api.kubeconfig)},
        stdout=subprocess.PIPE,
        text=True,
    )
    store, limit = kubectl.api.store, time.monotonic() + 15
    while not store._subscribers[1:] and time.monotonic() < limit:
        time.sleep(0.02)
    kubectl("delete", "service", "web")
    assert waiting.communicate(timeout=20)[0] == "service/web condition met\n"


def test_commands_and_logs(kubectl: Any) -> None:
    kubectl("apply", "-f", "-", stdin=WEB)
    pod = kubectl("get", "pods", "-o", "jsonpath={.items[0].metadata.name}")
    assert kubectl("exec", pod, "--", "hostname") == f"{pod}\n"
    assert kubectl("exec", "deploy/web", "--", "echo", "a", "b") == "a b\n"
    assert kubectl("exec", "-i", pod, "--", "cat", stdin="through\n") == "through\n"
    done = kubectl.api.run("-n", kubectl.namespace, "exec", pod, "--", "exit", "3")
    assert (done.returncode, done.stderr) == (3, "command terminated with exit code 3\n")
    kubectl.api.runtime.lines[f"{pod}/main"] = ["GET / 200", "GET /x 404"]
    assert kubectl("logs", pod) == "GET / 200\nGET /x 404\n"
    assert kubectl("logs", pod, "--tail=1") == "GET /x 404\n"
    assert "not there yet" in kubectl("port-forward", pod, "8080:80", fails=True)


def test_server_side_apply(kubectl: Any) -> None:
    assert "serverside-applied" in kubectl("apply", "--server-side", "-f", "-", stdin=WEB)
    assert "serverside-applied" in kubectl("apply", "--server-side", "-f", "-", stdin=WEB)
    kubectl("set", "image", "deployment/web", "main=nginx:9")
    told = kubectl("apply", "--server-side", "-f", "-", stdin=WEB, fails=True)
    assert 'conflict with "kubectl-set" using apps/v1: .spec.template.spec.containers[name="main"].image' in told
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=WEB)


def test_generators_send_what_the_server_reads(kubectl: Any) -> None:
    kubectl("create", "configmap", "c", "--from-literal=a=1")
    kubectl("create", "secret", "generic", "s", "--from-literal=k=v")
    kubectl("create", "deployment", "web", "--image=nginx", "--replicas=2", "--port=80")
    kubectl("expose", "deployment", "web", "--target-port=80", "--port=8080")
    kubectl("run", "one", "--image=busybox", "--labels=app=one")
    assert kubectl("get", "svc", "web", "-o", "jsonpath={.spec.ports[0].port}") == "8080"
    assert kubectl("get", "pod", "one", "-o", "jsonpath={.status.phase}") == "Running"
    assert len(kubectl("get", "endpointslices", "-o", "jsonpath={.items[0].endpoints[*].addresses[0]}").split()) == 2


def test_explain_discovery_and_rights(kubectl: Any) -> None:
    assert "FIELD: ingress <[]NetworkPolicyIngressRule>" in kubectl("explain", "networkpolicy.spec.ingress")
    assert "networkpolicies" in kubectl("api-resources")
    assert kubectl("auth", "can-i", "create", "pods") == "yes\n"
    assert "Server Version: v1.37" in kubectl("version")


def test_no_token_no_answer(kube_api: Any, tmp_path: Any) -> None:
    other = tmp_path / "kubeconfig"
    other.write_text(kube_api.kubeconfig.read_text().replace(kube_api.token, "wrong"))
    done = kube_api.run("--kubeconfig", str(other), "get", "pods")
    assert done.returncode != 0
    assert "You must be logged in to the server" in done.stderr
    assert stat.S_IMODE(kube_api.kubeconfig.stat().st_mode) == 0o600
