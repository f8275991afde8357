"""The normal form of policies, and one converter for each API that has policies.

- `model`       tiers → policies → rules per direction, first match wins; selectors and ports compiled to predicates
- `kubernetes`  networking.k8s.io NetworkPolicy to the normal form

Evaluation and explanation (`grader.reachability`) read only the normal form. The sandbox's own policy compiler must not
import this package: the two check each other.
"""
