"""Links, addresses, routes and neighbours as netlink requests.

Numbers are those of the kernel's headers `linux/{rtnetlink,if_link,if_addr,neighbour,ip}.h`.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from labs.sandbox.network.netlink import CREATE, EXCLUSIVE, REPLACE, Message, attribute, nested, text, u32

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NEWLINK, _SETLINK, _NEWADDR, _NEWROUTE, _DELROUTE, _NEWNEIGH = 16, 19, 20, 24, 25, 28
_UP = 0x1

_UNICAST, _BLACKHOLE = 1, 6
_SCOPE_UNIVERSE, _SCOPE_LINK = 0, 253
_TABLE_MAIN, _PROTOCOL_BOOT = 254, 3

FORWARDING, PROXY_ARP, SEND_REDIRECTS, RP_FILTER = 1, 3, 6, 8
"""Per-interface settings of IPv4 (`IPV4_DEVCONF_…` in linux/ip.h)."""


def _family(address: Address | Network) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def _link(kind: int, flags: int, index: int, body: bytes, what: str, *, up: bool = False) -> Message:
    change = _UP if up else 0
    return Message(kind, flags, struct.pack("=BxHiII", 0, 0, index, change, change) + body, what)


def bridge(name: str, index: int) -> Message:
    """Make a bridge; without spanning tree its ports forward at once."""
    body = text(3, name) + nested(18, text(1, "bridge"))
    return _link(_NEWLINK, CREATE | EXCLUSIVE, index, body, f"make bridge {name}", up=True)


def veth(name: str, index: int, mac: bytes, peer: tuple[str, int, bytes], peer_namespace: int) -> Message:
    """Make a veth pair whose other end (`peer`: name, index, address) is born in another namespace (a descriptor)."""
    peer_name, peer_index, peer_mac = peer
    other = (
        struct.pack("=BxHiII", 0, 0, peer_index, 0, 0)
        + text(3, peer_name)
        + attribute(1, peer_mac)
        + u32(28, peer_namespace)
    )
    body = text(3, name) + attribute(1, mac) + nested(18, text(1, "veth"), nested(2, attribute(1, other)))
    return _link(_NEWLINK, CREATE | EXCLUSIVE, index, body, f"make link {name}")


def up(index: int, *, master: int = 0) -> Message:
    """Set a link up, as a port of the bridge `master` if given."""
    return _link(_SETLINK, 0, index, u32(10, master) if master else b"", f"set link {index} up", up=True)


def configure(index: int, ipv4: dict[int, int], *, ipv6: bool) -> Message:
    """Set per-interface IPv4 settings; with `ipv6`, no link-local address is made by itself (it would be tentative)."""
    families = []
    if ipv4:
        families.append(nested(socket.AF_INET, nested(1, *(u32(key, value) for key, value in ipv4.items()))))
    if ipv6:
        families.append(nested(socket.AF_INET6, attribute(8, b"\x01")))
    return _link(_SETLINK, 0, index, nested(26, *families), f"configure link {index}")


def address(index: int, value: Address, prefix: int) -> Message:
    """Give a link an address, usable at once (no duplicate detection)."""
    scope = _SCOPE_LINK if value.is_link_local and value.version == 6 else _SCOPE_UNIVERSE
    no_detection = 0x02
    head = struct.pack("=BBBBi", _family(value), prefix, no_detection, scope, index)
    body = attribute(1, value.packed) + attribute(2, value.packed)
    return Message(_NEWADDR, CREATE | REPLACE, head + body, f"add address {value}/{prefix}")


def neighbour(index: int, value: Address, mac: bytes) -> Message:
    """A permanent neighbour: nothing has to be asked before the first packet goes out."""
    permanent = 0x80
    head = struct.pack("=BxxxiHBB", _family(value), index, permanent, 0, 0)
    body = attribute(1, value.packed) + attribute(2, mac)
    return Message(_NEWNEIGH, CREATE | REPLACE, head + body, f"add neighbour {value}")


def route(
    to: Network, *, index: int = 0, via: Address | None = None, source: Address | None = None, delete: bool = False
) -> Message:
    """A route: on a link (`index`), through a gateway (`via`), or, with neither, a blackhole.

    Args:
        to: the destination.
        index: the link.
        via: the gateway; it need not be on a known network of the link.
        source: the address that the machine itself uses on this way.
        delete: take the route away instead.
    """
    kind = _UNICAST if index else _BLACKHOLE
    scope = _SCOPE_LINK if index and via is None and to.version == 4 else _SCOPE_UNIVERSE
    on_link = 0x4
    head = struct.pack(
        "=BBBBBBBBI",
        _family(to),
        to.prefixlen,
        0,
        0,
        _TABLE_MAIN,
        _PROTOCOL_BOOT,
        scope,
        kind,
        on_link if via is not None else 0,
    )
    body = b""
    if to.prefixlen:
        body += attribute(1, to.network_address.packed)
    if via is not None:
        body += attribute(5, via.packed)
    if source is not None:
        body += attribute(7, source.packed)
    if index:
        body += u32(4, index)
    if delete:
        return Message(_DELROUTE, 0, head + body, f"delete route to {to}")
    return Message(_NEWROUTE, CREATE | REPLACE, head + body, f"add route to {to}")
