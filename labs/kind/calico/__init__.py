"""Calico in a kind cluster.

- `sources`    which files, from where, with which digests; reads them
- `manifests`  Calico's plain manifests, made to fit a plan
- `operator`   the custom resources from which Calico's operator makes the rest
- `install`    applies them in order, and waits until all of it works
"""
