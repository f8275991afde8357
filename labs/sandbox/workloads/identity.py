"""Who answers: the wire form of a probe and of its sealed answer.

A question is one line, `NETDOJO/1 <nonce>`; the answer is `NETDOJO/1 <who> <client> <seal>`, where the seal is an HMAC
of nonce, name and client under the lab's secret. A server that a learner starts in a pod cannot make one up, and one
that passes the question on to another pod brings back the other pod's name.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

PREFIX = b"NETDOJO/1 "
NONCE_LENGTH = 32
QUESTION_LENGTH = len(PREFIX) + NONCE_LENGTH + 1
LONGEST_ANSWER = 512


@dataclass(frozen=True, slots=True)
class Answer:
    """A verified answer: `who` answered, and the client's address as they saw it."""

    who: str
    client: str


def nonce() -> str:
    """A fresh nonce: 32 hexadecimal digits."""
    return secrets.token_hex(NONCE_LENGTH // 2)


def question(fresh: str) -> bytes:
    """The line that asks a server who it is."""
    return PREFIX + fresh.encode() + b"\n"


def read_question(data: bytes) -> str:
    """The nonce, or an empty string when this is no question."""
    if len(data) < QUESTION_LENGTH or not data.startswith(PREFIX):
        return ""
    return data[len(PREFIX) : QUESTION_LENGTH - 1].decode("ascii", "replace")


def seal(secret: str, fresh: str, who: str, client: str) -> str:
    """The proof that a server of this lab answered this question: 32 hexadecimal digits."""
    return hmac.digest(secret.encode(), f"{fresh}\n{who}\n{client}".encode(), "sha256").hex()[:32]


def answer(secret: str, fresh: str, who: str, client: str) -> bytes:
    """The line that a server sends back."""
    return PREFIX + f"{who} {client} {seal(secret, fresh, who, client)}\n".encode()


def read_answer(secret: str, fresh: str, data: bytes) -> Answer | None:
    """The answer, or None when it was not made by a server of this lab for this question."""
    if not data.startswith(PREFIX):
        return None
    words = data[len(PREFIX) :].decode("utf-8", "replace").split()
    if len(words) != 3:
        return None
    who, client, proof = words
    if not hmac.compare_digest(proof.encode(), seal(secret, fresh, who, client).encode()):
        return None
    return Answer(who, client)


def plain_address(address: str) -> str:
    """An address as people write it: IPv4 clients of a dual-stack socket come as `::ffff:10.0.0.1`."""
    address = address.partition("%")[0]
    return address[7:] if address.startswith("::ffff:") and "." in address else address
