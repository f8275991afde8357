"""A matrix cell by cell, as JSON or CSV: written as it is made, so that no size of matrix fills the memory.

{"version": 1, "family": 4, "cells": [
  {"from": "shop/web-1", "to": "shop/db-0", "protocol": "TCP", "port": 5432, "allowed": true, "left_open": false}]}
"""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from grader.reachability.matrix import Matrix


def write_json(matrix: Matrix, to: TextIO) -> None:
    """Write every cell as JSON, one a line."""
    to.write(f'{{"version": 1, "family": {matrix.family}, "cells": [')
    separator = "\n"
    for flow, allowed, left_open in matrix.cells():
        cell = {
            "from": flow.source,
            "to": flow.destination,
            "protocol": flow.protocol,
            "port": flow.port,
            "allowed": allowed,
            "left_open": left_open,
        }
        to.write(f"{separator}{json.dumps(cell)}")
        separator = ",\n"
    to.write("\n]}\n")


def write_csv(matrix: Matrix, to: TextIO) -> None:
    """Write every cell as CSV: from, to, protocol, port, then open or closed, then whether that is left open."""
    writer = csv.writer(to, lineterminator="\n")
    writer.writerow(["from", "to", "protocol", "port", "verdict", "left open"])
    for flow, allowed, left_open in matrix.cells():
        verdict = "open" if allowed else "closed"
        writer.writerow(
            [flow.source, flow.destination, flow.protocol, flow.port, verdict, "yes" if left_open else "no"]
        )
