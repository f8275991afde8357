"""Checks: what a lab asks of the traffic, and how observations are judged against it. All of it is pure.

- `expect`        arrows and `others` to what each cell should be
- `connectivity`  observations of a cell to its state
- `credit`        partial credit
"""
