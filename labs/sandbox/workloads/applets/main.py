"""Starts an applet by name: `python -I -S main.py curl http://summary`."""

from __future__ import annotations

import importlib
import os
import sys


def main() -> int:
    """Run the applet named by the first argument with the rest; its exit status."""
    here = os.path.realpath(__file__)
    # Isolated mode leaves the path bare: netdojo's packages are four folders up.
    sys.path.insert(0, here.rsplit(os.sep, 5)[0])
    name, *arguments = sys.argv[1:]
    module = {"netcat": "nc", "ping6": "ping", "nslookup": "dig", "host": "dig"}.get(name, name)
    applet = importlib.import_module(f"labs.sandbox.workloads.applets.{module}")
    try:
        return int(applet.run(name, arguments))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141


if __name__ == "__main__":
    sys.exit(main())
