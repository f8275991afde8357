"""Calico's policy API (projectcalico.org/v3, and crd.projectcalico.org/v1 as the cluster stores it): JSON to the model.

- `selectors`   the selector language: text to an expression; errors name the position
- `model`       policies, tiers, network sets, host endpoints, profiles with the fields that decide traffic
- `fields`      values that only this API has: orders, protocols, ports, ranges
- `rules`       one rule, with the validation of the API
- `parse`       every kind
- `labels`      the labels that selectors see
- `staged`      a snapshot with staged policies in force

What the objects mean together is the business of `grader.policy.calico`.

The meaning is held against real Calico by `tests/kind/compare.py` (felix 3.28.5, iptables): random policies of one tier
with every field of a rule but `http`, over IPv4, TCP, UDP and echo requests. One difference is known: among policies of
one order 3.28 sorts by `namespace/tier.name` (felix/calc/policy_sorter.go, line 165: PolKVLess; a global policy has no
namespace there), releases of today by `name/namespace/kind`, as here: the comparison keeps clear of such ties. Tiers,
staged kinds, host endpoints, IPv6 and SCTP have not been held against it. `notNets: [0.0.0.0/0]` cannot be: felix
writes `! --source 0.0.0.0/0`, which iptables-nft 1.8.9 refuses, and ends (felix/iptables/table.go, line 1081: "giving
up after retries").
"""
