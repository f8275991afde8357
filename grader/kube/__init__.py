"""Kubernetes manifests as typed, frozen objects, and label selectors.

- `model`      the objects that decide traffic, with only the fields that do
- `parse`      a snapshot's JSON objects to `model.Objects`; `pods`, `core`, `policies`: one kind each
- `http_model` Ingress and Gateway API; `http`: every kind of them, `ingress`, `gateway`, `route_matches`: one each
- `passed_over` which kinds that are not read may decide traffic all the same
- `fields`     typed getters that collect problems under the field's path
- `selectors`  label selectors of Kubernetes

These are shared by the evaluator and by the sandbox's policy compiler. Nothing else of `grader` is.
"""
