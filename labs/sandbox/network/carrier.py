"""Have a link carry packets now.

Of a veth pair the end that was set up first learns of its carrier from a worker of the kernel, and drops what is sent
until then, for milliseconds, or longer on a busy machine. Asking for the link's state makes the kernel catch up first
(`ethtool_op_get_link` calls `linkwatch_sync_dev`).
"""

from __future__ import annotations

import array
import fcntl
import struct

_SIOCETHTOOL = 0x8946
_ETHTOOL_GLINK = 0x0A
_REQUEST = struct.Struct("16sP16x")


def settle(descriptor: int, name: str) -> bool:
    """Tell whether the link has a carrier; when this returns True the kernel acts on it.

    Args:
        descriptor: any socket in the link's namespace.
        name: the link's name. Of one that is not there, or where the system forbids to ask, the answer is False.
    """
    value = array.array("I", (_ETHTOOL_GLINK, 0))
    address, _ = value.buffer_info()
    try:
        fcntl.ioctl(descriptor, _SIOCETHTOOL, _REQUEST.pack(name.encode(), address))
    except OSError:
        return False
    return bool(value[1])
