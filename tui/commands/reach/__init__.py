"""`netdojo reach`: who reaches whom and why, computed from manifests; nothing runs.

- `inputs`   what every command reads: paths, standard input, or a live cluster
- `places`   where rules stand in files
- `live`     a live cluster's objects, by kubectl
- `change`   objects as they would be after a change
- `matrix`, `explain`, `diff`, `lint`, `check`: one command each; `required`: two
"""

from __future__ import annotations

import click

from tui.commands.reach.check import check as check_command
from tui.commands.reach.diff import diff as diff_command
from tui.commands.reach.explain import explain as explain_command
from tui.commands.reach.lint import lint as lint_command
from tui.commands.reach.matrix import matrix as matrix_command
from tui.commands.reach.required import privilege, synthesize


@click.group()
def reach() -> None:
    """Who reaches whom, and why, computed from manifests.

    PATH is a file of manifests, a folder of them, or - for standard input (what helm or kustomize prints). A workload
    without pods stands for itself.

    Endpoints are named web, web.shop or shop/web (a pod, or every pod of a workload), service:shop/web, node:node-1,
    host:bastion, outside, or an address; a request by host and path as in https://shop.example/cart.
    """


for _command in (matrix_command, explain_command, diff_command, lint_command, privilege, synthesize, check_command):
    reach.add_command(_command)
