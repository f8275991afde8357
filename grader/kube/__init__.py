"""Kubernetes manifests as typed, frozen objects, and label selectors.

- `model`      the objects that decide traffic, with only the fields that do
- `parse`      one JSON object to one model; errors name the field path
- `selectors`  label selectors of Kubernetes

These are shared by the evaluator and by the sandbox's policy compiler. Nothing else of `grader` is.
"""
