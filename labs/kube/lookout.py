"""Looks, from a canary's client, at what is open and what is closed, until it is as wanted: one command a node.

The command is a shell loop around `agnhost connect`, which the canary's image has. It starts no traffic but
connections to the canary's own servers. It runs on between looks: to begin a command costs more than to look.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.errors import ClusterGoneError, InfrastructureError
from labs.kube.api import Refused
from labs.kube.canary import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labs.kube.api import Api, Talk

_SCRIPT = """
set -f
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
    [ $(date +%s) -lt $5 ] || { echo "no $3 $said"; return; }
    [ "$1" = open ] && sleep 0.03
  done
}
while read -r line; do
  set -- $line
  now=$(date +%s)
  while [ $# -gt 0 ]; do
    end=$((now + $5))
    if [ "$1" = open ]; then look "$1" "$2" "$3" "$4" $end; else look "$1" "$2" "$3" "$4" $end & fi
    shift 5
  done
  wait
  echo .
done
"""
"""What is to open is looked at one after the other: all of it comes at about the same time, and the processor that many
looks would take is the one on which the dataplane works. Silence takes time and no processor, so it is waited for at
once."""
_MARGIN_SECONDS = 10.0
_END = "."
_IDLE_SECONDS = 20.0
"""How long a command may not have been asked: what stands between here and a cluster may forget a silent connection,
and say nothing."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Something to look at from a client.

    Attributes:
        what: a word for it, without spaces.
        address: as `agnhost connect` takes it, with the port.
        is_open: whether it has to be open, or closed.
        milliseconds: how long silence is waited for; for what has to be closed twice that.
        seconds: how long it may take to become so.
    """

    what: str
    address: str
    is_open: bool = True
    milliseconds: int = 150
    seconds: int = 90

    def words(self) -> str:
        """As the command takes it."""
        return f"{'open' if self.is_open else 'closed'} {self.address} {self.what} {self.milliseconds}ms {self.seconds}"


class Lookout:
    """Looks from one client; one look at a time.

    Args:
        api: the cluster's API.
        client: the name of its pod.
    """

    def __init__(self, api: Api, client: str) -> None:
        self._api = api
        self._pod = f"{NAMESPACE}/{client}"
        self._talk: Talk | None = None
        self._asked = 0.0

    async def watch(self, sights: Iterable[Sight]) -> dict[str, str]:
        """Look until everything is as wanted.

        Returns:
            What is not so after its limit: the word of each such sight, with what was seen last.

        Raises:
            InfrastructureError: the client cannot look.
        """
        wanted = {sight.what: sight for sight in sights}
        line = " ".join(sight.words() for sight in wanted.values())
        limit = max((sight.seconds for sight in wanted.values()), default=0) + _MARGIN_SECONDS
        lines = await self._ask(line, limit)
        answers = [line.split(" ", 2) for line in lines]
        said = {parts[1]: parts for parts in answers if len(parts) > 1 and parts[0] in {"yes", "no"}}
        if missing := wanted.keys() - said.keys():
            raise _blind(self._pod, f"nothing on {', '.join(sorted(missing))}")
        return {what: (parts[2] if len(parts) > 2 else "") for what, parts in said.items() if parts[0] == "no"}

    async def _ask(self, line: str, seconds: float) -> tuple[str, ...]:
        """Ask a command that runs already; where that has ended meanwhile, with its pod perhaps, a new one."""
        if self._talk is not None and time.monotonic() - self._asked > _IDLE_SECONDS:
            self.close()
        is_new, self._asked = self._talk is None, time.monotonic()
        talk = self._talk = self._talk or self._api.talk(self._pod, ["sh", "-c", _SCRIPT, "lookout"])
        try:
            return await talk.ask(line, _END, seconds)
        except (Refused, InfrastructureError) as error:
            self.close()
            if not is_new:
                return await self._ask(line, seconds)
            if isinstance(error, ClusterGoneError):
                raise
            raise _blind(self._pod, error.message) from error
        except TimeoutError as error:
            self.close()
            raise _blind(self._pod, "it did not end in time") from error
        except BaseException:
            self.close()  # its answer would be taken for that to the next question
            raise

    def close(self) -> None:
        """Look no more."""
        if self._talk is not None:
            self._talk.close()
            self._talk = None


def _blind(pod: str, words: str) -> InfrastructureError:
    return InfrastructureError(
        f"the canary pod {pod} cannot look whether policies are enforced: {words}",
        remedy=f"kubectl -n {NAMESPACE} get pods shows its state; its image has to have `sh` and `/agnhost`",
    )
