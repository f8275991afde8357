"""Netlink's format, read back by another library, and refusals in words."""

from __future__ import annotations

import errno
import struct

import pytest

from labs.sandbox.network import netlink, rtnetlink


@pytest.mark.parametrize("payload", [b"", b"a", b"abcd", b"abcdefg"])
def test_an_attribute_is_padded_and_says_its_own_length(payload: bytes) -> None:
    made = netlink.attribute(7, payload)
    assert len(made) % 4 == 0
    assert struct.unpack_from("=HH", made) == (4 + len(payload), 7)
    assert netlink.attributes(made + netlink.u32(8, 9)) == {7: payload, 8: struct.pack("=I", 9)}


def test_a_message_is_what_pyroute2_reads() -> None:
    ndmsg = pytest.importorskip("pyroute2.netlink.rtnl.rtmsg")
    from ipaddress import ip_address, ip_network

    made = rtnetlink.route(ip_network("10.244.0.64/26"), index=32, via=ip_address("172.18.0.3"))
    message = ndmsg.rtmsg(made.encode(5))
    message.decode()
    assert message["dst_len"] == 26
    assert message["header"]["sequence_number"] == 5
    found = [message.get_attr(name) for name in ("RTA_DST", "RTA_GATEWAY", "RTA_OIF")]
    assert found == ["10.244.0.64", "172.18.0.3", 32]


def acknowledgement(code: int, words: str = "") -> bytes:
    """As the kernel answers with `NETLINK_CAP_ACK` and `NETLINK_EXT_ACK`."""
    body = struct.pack("=i", code) + bytes(16)
    flags = 0x100
    if words:
        flags |= 0x200
        body += netlink.text(1, words)
    return struct.pack("=IHHII", 16 + len(body), 2, flags, 3, 0) + body


@pytest.mark.parametrize(
    ("code", "words"), [(0, ""), (-errno.EPERM, ""), (-errno.EINVAL, "Device can not be enslaved while up")]
)
def test_a_refusal_has_the_kernels_own_words(code: int, words: str) -> None:
    ((kind, sequence, payload),) = netlink.split(acknowledgement(code, words))
    assert (kind, sequence) == (2, 3)
    assert netlink.refusal(payload) == (-code, words)
    failure = netlink.Failure(rtnetlink.up(3), -code, words)
    assert str(failure).startswith("set link 3 up: ")


def test_messages_that_end_in_the_middle_are_left_out() -> None:
    two = acknowledgement(0) + acknowledgement(-1)
    assert len(netlink.split(two)) == 2
    assert len(netlink.split(two[:-40])) == 1
    assert netlink.split(bytes(64)) == []
