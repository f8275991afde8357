"""What enforces policies and carries Services.

- `names`      the dataplanes by the names that people use
- `nftables/`  real packets in this kernel
- `model`      computed by the evaluator, and marked simulated
"""
