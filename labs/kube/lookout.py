"""Looks, from a canary's client, at what is open and what is closed, until it is as wanted: one command a node.

The command is a shell loop around `agnhost connect`, which the canary's image has. It starts no traffic but
connections to the canary's own servers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError
from labs.kube.api import Refused
from labs.kube.canary import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labs.kube.api import Api

_SCRIPT = """
end=$(( $(date +%s) + $1 )); shift
look() {
  quiet=0
  while :; do
    said=$(/agnhost connect --timeout=$4 "$2" 2>&1) && said=OPEN
    case "$1 $said" in
      "open OPEN") echo "yes $3"; return ;;
      "open "*) ;;
      *" OPEN") quiet=0 ;;
      "closed TIMEOUT"*|"closed REFUSED"*) quiet=$((quiet + 1)); [ $quiet = 2 ] && { echo "yes $3"; return; } ;;
    esac
    [ $(date +%s) -lt $end ] || { echo "no $3 $said"; return; }
    [ "$1" = open ] && sleep 0.03
  done
}
while [ $# -gt 0 ]; do
  if [ "$1" = open ]; then look "$1" "$2" "$3" "$4"; else look "$1" "$2" "$3" "$4" & fi
  shift 4
done
wait
"""
"""What is to open is looked at one after the other: all of it comes at about the same time, and the processor that many
looks would take is the one on which the dataplane works. Silence takes time and no processor, so it is waited for at
once."""
_MARGIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Sight:
    """Something to look at from a client.

    Attributes:
        what: a word for it, without spaces.
        address: as `agnhost connect` takes it, with the port.
        is_open: whether it has to be open, or closed.
        milliseconds: how long silence is waited for; for what has to be closed twice that.
    """

    what: str
    address: str
    is_open: bool = True
    milliseconds: int = 150


async def watch(api: Api, client: str, sights: Iterable[Sight], seconds: int) -> dict[str, str]:
    """Look until everything is as wanted.

    Returns:
        What is not so after the limit: the word of each such sight, with what was seen last.

    Raises:
        InfrastructureError: the client cannot look.
    """
    wanted = {sight.what: sight for sight in sights}
    arguments = [
        part
        for sight in wanted.values()
        for part in ("open" if sight.is_open else "closed", sight.address, sight.what, f"{sight.milliseconds}ms")
    ]
    pod = f"{NAMESPACE}/{client}"
    argv = ["sh", "-c", _SCRIPT, "lookout", str(seconds), *arguments]
    try:
        output = await api.exec(pod, argv, b"", seconds + _MARGIN_SECONDS)
    except (Refused, TimeoutError) as error:
        raise _blind(pod, str(error) or "it did not end in time") from error
    answers = [line.split(" ", 2) for line in output.stdout.decode(errors="replace").splitlines()]
    said = {parts[1]: parts for parts in answers if len(parts) > 1 and parts[0] in {"yes", "no"}}
    if missing := wanted.keys() - said.keys():
        words = output.stderr.decode(errors="replace").strip() or f"nothing on {', '.join(sorted(missing))}"
        raise _blind(pod, words)
    return {what: (parts[2] if len(parts) > 2 else "") for what, parts in said.items() if parts[0] == "no"}


def _blind(pod: str, words: str) -> InfrastructureError:
    return InfrastructureError(
        f"the canary pod {pod} cannot look whether policies are enforced: {words}",
        remedy=f"kubectl -n {NAMESPACE} get pods shows its state; its image has to have `sh` and `/agnhost`",
    )
