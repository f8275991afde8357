"""`netdojo sandbox`: an empty cluster of namespaces for any manifests, without a course."""

from __future__ import annotations

import click

from tui.commands.options import done, narrate, output_option, perform

name_option = click.option("--name", default="sandbox", show_default=True, help="The cluster's name.")


@click.group()
def sandbox() -> None:
    """A cluster of namespaces for any manifests, without a course; a kubeconfig comes out."""


@sandbox.command()
@click.argument("files", nargs=-1)
@name_option
@click.option("--nodes", type=click.IntRange(1, 8), default=1, show_default=True)
@click.option("--dual-stack", is_flag=True, help="Give pods IPv6 addresses too.")
@output_option
def up(files: tuple[str, ...], name: str, nodes: int, dual_stack: bool, output: str) -> None:
    """Start a cluster and apply FILES (manifests; - for standard input; a folder for all of its YAML)."""
    import json

    from content.errors import BrokenContentError
    from content.model import Topology
    from labs import registry
    from labs.base import Request, Running
    from labs.located import locate
    from labs.store import cluster_folder
    from tui.commands.manifests import read_located

    placed = read_located(files)
    objects = [item for item, _file, _line in placed]
    topology = Topology(nodes=nodes, families=("ipv4", "ipv6") if dual_stack else ("ipv4",))

    async def work() -> Running:
        try:
            return await registry.load("sandbox").start(
                Request(name, topology, objects), cluster_folder(name), narrate()
            )
        except BrokenContentError as error:
            raise locate(error, placed) from error
        finally:
            done()

    running = perform(work())
    if output == "json":
        click.echo(json.dumps({"version": 1, "name": name, "kubeconfig": str(running.kubeconfig)}, indent=2))
    else:
        click.echo(f"export KUBECONFIG={running.kubeconfig}")


@sandbox.command()
@name_option
def down(name: str) -> None:
    """Remove the cluster."""
    from labs import registry
    from labs.store import cluster_folder

    perform(registry.load("sandbox").stop(name, cluster_folder(name)))
    click.echo(f"{name} is gone")


@sandbox.command()
@output_option
def status(output: str) -> None:
    """List every cluster of namespaces on this machine, labs included."""
    import json

    from labs import registry
    from labs.store import cluster_folder, cluster_names

    backend = registry.load("sandbox")
    found = [perform(backend.find(name, cluster_folder(name))) for name in cluster_names()]
    if output == "json":
        rows = [
            {
                "name": item.name,
                "phase": str(item.phase),
                "kubeconfig": str(item.kubeconfig) if item.kubeconfig else None,
                "detail": item.detail,
            }
            for item in found
        ]
        click.echo(json.dumps({"version": 1, "clusters": rows}, indent=2))
        return
    for item in found:
        click.echo(f"{item.name:24} {item.phase:9} {item.kubeconfig or ''} {item.detail}".rstrip())
    if not found:
        click.echo("no clusters", err=True)
