"""The dataplanes by the names that people use."""

NFTABLES = "nftables"
"""Real packets in this kernel."""
MODEL = "model"
"""Computed, and marked simulated."""
