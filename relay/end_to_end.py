"""The probe of `relay check`: two throw-away members, one message from one to the other, through the relay as apps reach it.

There is no Signal engine in Python, so the body is random bytes of the smallest size, which the relay cannot tell from a sealed one. What is
tried is all that the relay does with a message; what apps do inside it is not.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from typing import Any, Final, NamedTuple
from uuid import UUID

from relay.frames import BODY_BYTES, from_b64, to_b64
from relay.probe import Probe, ProbeError, ProbeSocket
from relay.xeddsa_signatures import make_private_key, public_key_of, sign

_ONE_TIME: Final = 2


class Step(NamedTuple):
    """What was done, and how long it took in seconds."""

    name: str
    seconds: float


class Throwaway:
    """A member that exists for a minute. Nothing of it is kept here either."""

    def __init__(self, probe: Probe, code: str) -> None:
        self._probe = probe
        self._secret = secrets.token_bytes(32)
        self.access_key = secrets.token_bytes(16)
        private = make_private_key()
        body = {
            "token_hash": to_b64(sha256(self._secret).digest()),
            "recovery_hash": to_b64(secrets.token_bytes(32)),
            "identity_key": to_b64(public_key_of(private)),
            "registration_id": 1 + secrets.randbelow(0x3FFF),
            "signed_prekey": _prekey(private, 1, b"\x05", 33),
            "last_resort_kyber_prekey": _prekey(private, 1, b"\x08", 1569),
            "prekeys": [_prekey(None, n, b"\x05", 33) for n in range(1, 1 + _ONE_TIME)],
            "kyber_prekeys": [_prekey(private, n, b"\x08", 1569) for n in range(2, 2 + _ONE_TIME)],
            "access": {"contact": to_b64(sha256(self.access_key).digest())},
        }
        answer = probe.call("POST", "/v1/accounts", json.dumps(body).encode(), {"Authorization": f"Invite {code}"})
        if answer.status != 201:
            raise ProbeError(f"registering was answered with {answer.status} {answer.code or ''}")
        self.account_id = str(UUID(answer.json()["account_id"]))

    @property
    def _login(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.account_id}.{to_b64(self._secret)}"}

    @contextmanager
    def mailbox(self) -> Iterator[ProbeSocket]:
        with self._probe.websocket("/v1/mailbox", self._login) as socket:
            socket.expect("hello")
            yield socket

    def leave(self) -> None:
        answer = self._probe.call("DELETE", "/v1/account", headers=self._login)
        if answer.status != 204:
            raise ProbeError(f"deleting was answered with {answer.status}")


def send_and_receive(url: str, codes: tuple[str, str], told: Callable[[Step], None]) -> None:
    """Registers two members with these invite codes, sends, receives, deletes both. Both go also when something fails.

    Raises:
        ProbeError: what did not work, in words.
    """
    probe = Probe(url)

    @contextmanager
    def step(name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        except ProbeError as error:
            raise ProbeError(f"{name}: {error}") from None
        told(Step(name, time.monotonic() - began))

    members: list[Throwaway] = []
    try:
        for number, code in enumerate(codes, 1):
            with step(f"register {number} of 2"):
                members.append(Throwaway(probe, code))
        _converse(probe, members[0], step)
    finally:
        failure: ProbeError | None = None
        for number, member in enumerate(members, 1):
            try:
                with step(f"delete {number} of 2"):
                    member.leave()
            except ProbeError as error:
                failure = error
    if failure is not None:
        raise failure


def _converse(probe: Probe, recipient: Throwaway, step: Callable[[str], Any]) -> None:
    body = secrets.token_bytes(BODY_BYTES[0])
    id_ = _envelope_id()
    with step("fetch a prekey bundle"):
        answer = probe.call(
            "POST", f"/v1/prekeys/{recipient.account_id}/take", headers={"Access-Key": to_b64(recipient.access_key)}
        )
        if answer.status != 200:
            raise ProbeError(f"answered with {answer.status} {answer.code or ''}")
    with ExitStack() as sockets:
        with step("open a mailbox"):
            mailbox = sockets.enter_context(recipient.mailbox())
        with step("drain it"):
            mailbox.expect("drained")
        with step("post, committed to disk"), probe.websocket("/v1/post") as posting:
            posting.expect("hello")
            envelope = {
                "id": id_,
                "to": recipient.account_id,
                "access": to_b64(recipient.access_key),
                "body": to_b64(body),
            }
            posting.say({"type": "post", "envelopes": [envelope]})
            if posting.expect("posted")["ids"] != [id_]:
                raise ProbeError("another envelope was acknowledged")
        with step("receive"):
            delivered = mailbox.expect("deliver")["envelopes"]
            if [(one["id"], from_b64(one["body"])) for one in delivered] != [(id_, body)]:
                raise ProbeError("something else was delivered")
            mailbox.say({"type": "ack", "ids": [id_]})


def _prekey(signer: bytes | None, number: int, kind: bytes, size: int) -> dict[str, Any]:
    public = kind + os.urandom(size - 2) + b"\0"
    signature = {} if signer is None else {"signature": to_b64(sign(signer, public))}
    return {"id": number, "public_key": to_b64(public), **signature}


def _envelope_id() -> str:
    """UUIDv7 with its time rounded down to the hour (docs/protocol.md, Sockets)."""
    hour_ms = int(time.time() // 3600 * 3600 * 1000)
    random = secrets.randbits(74)
    return str(UUID(int=hour_ms << 80 | 7 << 76 | (random >> 62) << 64 | 2 << 62 | random & (1 << 62) - 1))
