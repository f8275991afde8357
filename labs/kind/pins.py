"""Which releases a real cluster is made of, unless the user's settings say otherwise.

What could be verified from two independent sources is pinned by digest. What could not is pinned by its release's
tag, and `prepare --save` records the digests of what was fetched, so that a room gets exactly that.
"""

from __future__ import annotations

from dataclasses import dataclass

from labs.kube import canary

KIND = "0.33.0"
"""The release of kind whose node images are pinned here: https://github.com/kubernetes-sigs/kind/releases."""
KIND_LEAST = (0, 31)
"""Older ones make clusters that Calico is not tested on (its quickstart for 3.33 asks for 0.31)."""
DOCKER_LEAST = (20, 10)
"""The first engine with private cgroup namespaces for containers, which kind's nodes ask for."""

NODE_IMAGE = "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
"""Kubernetes as kind 0.33 makes it: its own default (`pkg/apis/config/defaults/image.go`) and its release notes."""
KUBERNETES_REFUSING_CGROUP_V1 = (1, 35)
"""From this release on kubelet does not start on cgroup v1, but for `failCgroupV1: false` in its configuration."""

AGNHOST_IMAGE = canary.IMAGE
AGNHOST_DIGEST = "sha256:99c6b4bb4a1e1df3f0b3752168c89358794d02258ebebc26bf21c29399011a85"
"""Of the tag that labs' pods run, as Kubernetes' own tests name it."""

CALICO = "v3.33.1"
"""Released 2026-11-16. Its files and images are pinned by tag: there was nothing to verify their digests with."""
OPERATOR = "v1.44.1"
"""The operator that installs it: the notes of that release name Calico v3.33.1."""
_MANIFESTS = f"https://raw.githubusercontent.com/projectcalico/calico/{CALICO}/manifests"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a release. `digest` is "sha256:…", or empty where only the tag pins it."""

    url: str
    digest: str = ""


CALICO_OPERATOR_FILES = (
    RemoteFile(f"{_MANIFESTS}/v3_projectcalico_org.yaml"),
    RemoteFile(f"{_MANIFESTS}/tigera-operator.yaml"),
)
"""What Calico's quickstart applies for Kubernetes 1.36 and later, in its order; the custom resources are netdojo's."""
CALICO_OPERATOR_IMAGES = (
    f"quay.io/tigera/operator:{OPERATOR}",
    f"quay.io/calico/calico:{CALICO}",
    f"quay.io/calico/node:{CALICO}",
    f"quay.io/calico/third-party-cni-plugins:{CALICO}",
)
"""What the operator starts for an Installation and an APIServer; since 3.33 most programs share one image."""

DIGESTS = {AGNHOST_IMAGE: AGNHOST_DIGEST}
"""Digests of images that manifests name by tag: what is fetched under such a tag must be this."""


def version_of(text: str) -> tuple[int, ...]:
    """The numbers of a release in what a program printed: "kind v0.33.0 go1.26" gives (0, 33, 0); () without any."""
    import re

    found = re.search(r"v?(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in found.groups() if part is not None) if found else ()
