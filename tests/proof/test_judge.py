"""The judge on made-up evidence: each rule once broken, each spelling of a number found, and nothing found where nothing is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from tests.proof import candidates
from tests.proof.judge import Evidence, Somebody, judge
from tests.proof.recorder import Connection, Recorder
from tests.proof.wire import Unreadable, frames, requests_of

ALICE, BOB = str(UUID(int=0xA11CE << 64 | 1)), str(UUID(int=0xB0B << 64 | 2))
SECRET = bytes(range(100, 132))
NUMBER, SALT = "+4915112345678", bytes(range(32))


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def http(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def posted(frame: dict[str, Any]) -> bytes:
    """An upgrade to the post session, and one masked frame on it."""
    text, mask = json.dumps(frame).encode(), b"\x01\x02\x03\x04"
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(text))
    head = b"\x81\xff" + len(text).to_bytes(8, "big")
    return b"GET /v1/post HTTP/1.1\r\nUpgrade: websocket\r\n\r\n" + head + mask + masked


def envelope(size: int = 1024, **fields: str) -> dict[str, Any]:
    return {"type": "post", "envelopes": [{"to": BOB, "body": b64(bytes(size)), **fields}]}


UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
LOGIN = {"Authorization": f"Bearer {ALICE}.{b64(SECRET)}"}


def evidence() -> Evidence:
    """What an honest relay and honest clients leave."""
    alice = Somebody("Alice", NUMBER, "127.77.1.1", ALICE, (SECRET,), b"a" * 32)
    bob = Somebody("Bob", "+905321234567", "127.77.2.2", BOB, (b"s" * 32,), b"b" * 32)
    identified = Connection("Alice", 0, bytearray(http("GET", "/v1/keys", **LOGIN)), bytearray())
    anonymous = Connection("Alice", 1, bytearray(posted(envelope())), bytearray(UPGRADED))
    body = "00" * 1024
    row = f'({BOB},0190a0a0-0000-7000-8000-000000000001,1,1789000000,f,"\\\\x{body}")'
    return Evidence(
        people=[alice, bob],
        salt=SALT,
        canaries=["meet me at the old mill"],
        strangers=["+12025550123"],
        connections=[identified, anonymous],
        dumps={"a step": {"envelopes_week_1": row, "accounts": f"({ALICE},x)\n({BOB},y)"}},
        files={"pg_wal/1": bytes(20_000) + b"something else" + bytes(300)},
        log="INFO relay: started",
        refused={"GET /v1/relay": 400},
    )


def test_honest_evidence_convicts_nobody() -> None:
    assert judge(evidence()) == []


def connection(*sent: bytes, down: bytes = b"") -> Callable[[Evidence], None]:
    made = Connection("Alice", 2, bytearray(b"".join(sent)), bytearray(down))
    return lambda e: e.connections.append(made)


def log(text: str) -> Callable[[Evidence], None]:
    return lambda e: setattr(e, "log", text)


def table(name: str, row: str) -> Callable[[Evidence], None]:
    return lambda e: e.dumps["a step"].update({name: row})


def on_disk(content: bytes) -> Callable[[Evidence], None]:
    return lambda e: e.files.update({"pg_wal/1": bytes(9_000) + content + bytes(90)})


SHORT_HASH = hmac.new(SALT, NUMBER.encode(), "sha256").digest()[:16]


@pytest.mark.parametrize(
    ("betrayal", "finding"),
    [
        (log("127.77.1.1 asked"), "a network address in the log"),
        (on_disk(b"from 127.77.2.2"), "a network address in file pg_wal/1"),
        (on_disk(b"meet me at the old mill"), "plaintext in file"),
        (log(base64.b64encode(b"..meet me at the old mill..").decode()), "plaintext in the log"),
        (on_disk(NUMBER.encode()), "a phone number in file"),
        (table("notes", "(004915112345678)"), "a phone number in table notes"),
        (log("12025550123"), "a phone number in the log"),
        (on_disk(SHORT_HASH), "hmac-sha256 salt is key) in file"),
        (table("notes", "\\x" + SHORT_HASH.hex()), "hmac-sha256 salt is key) in table"),
        (on_disk(hashlib.sha256(SALT + b"12025550123").digest()), "sha256 salt first) in file"),
        (on_disk(hashlib.blake2b(NUMBER.encode()).digest()), "blake2b plain) in file"),
        (table("gossip", f"({BOB},{ALICE})"), "a row of table gossip names Alice and Bob"),
        (table("gossip", f"({BOB},\\x{SECRET.hex()})"), "a row of table gossip names Alice and Bob"),
        (table("envelopes_week_1", f'({BOB},"\\\\x{"00" * 1000}")'), "a body of 1000 bytes in table"),
        (connection(posted(envelope(1000)), down=UPGRADED), "a body of 1000 bytes on connection 2"),
        (connection(posted(envelope(sender=ALICE)), down=UPGRADED), "names its sender: account id"),
        (connection(posted(envelope(body=b64(SECRET + bytes(992)))), down=UPGRADED), "names its sender: token"),
        (connection(http("POST", f"/v1/prekeys/{BOB}/take", X_Who=ALICE)), "names its sender: account id"),
        (connection(http("POST", "/v1/discovery/lookup", b64(b"a" * 32).encode())), "names its sender: phone token"),
        (connection(http("GET", "/v1/relay", **LOGIN)), "carries a login"),
        (connection(http("GET", "/v1/keys", **LOGIN), http("GET", "/v1/relay")), "carried both lanes"),
        (connection(http("GET", "/v1/relay"), http("GET", "/v1/relay")), "ties 2 anonymous calls together"),
        (connection(http("GET", "/v1/keys")), "is on neither lane"),
        (connection(http("GET", "/v1/keys?who=me", **LOGIN)), "has a query"),
        (connection(http("PUT", "/v1/keys", f'{{"for": "{BOB}"}}'.encode(), **LOGIN)), "names Bob: account id"),
        (lambda e: e.refused.update({"GET /v1/post": 101}), "a token is accepted on the anonymous lane"),
        (lambda e: e.connections.pop(), "no body was seen at all"),
    ],
)
def test_each_betrayal_is_convicted(betrayal: Callable[[Evidence], Any], finding: str) -> None:
    given = evidence()
    betrayal(given)
    findings = judge(given)
    assert any(finding in found for found in findings), findings


def test_our_own_derivation_without_the_relay_is_among_the_candidates() -> None:
    """The vector of docs/protocol.md, with the hash in place of the relay's output."""
    hashed = hmac.new(SALT, NUMBER.encode(), "sha256").digest()
    extracted = hmac.new(bytes(32), hashed, "sha256").digest()
    token = hmac.new(extracted, b"sottovoce phone token v1\x01", "sha256").digest()
    assert token in {digest for _, digest in candidates.hashes(NUMBER, SALT)}


@pytest.mark.parametrize("nonsense", [b"\x82\x02{}", b"\x01\x02{}"])
def test_frames_that_our_client_does_not_send_end_the_proof(nonsense: bytes) -> None:
    with pytest.raises(Unreadable):
        frames(nonsense)


def test_frames_of_every_length_are_read() -> None:
    sizes = [1, 120, 200, 70_000]
    texts = [json.dumps({"x": "y" * size}).encode() for size in sizes]
    heads = [
        bytes([len(t)]) if len(t) < 126 else b"\x7e" + len(t).to_bytes(2, "big") if len(t) < 65536 else b"\x7f" + len(t).to_bytes(8, "big")
        for t in texts
    ]  # fmt: skip
    stream = b"".join(b"\x81" + head + text for head, text in zip(heads, texts, strict=True)) + b"\x89\x00\x81\x05cut"
    assert [len(frame["x"]) for frame in frames(stream)] == sizes


def test_a_recorder_passes_everything_on_and_keeps_it() -> None:
    with socket.create_server(("127.0.0.2", 0)) as relay:
        recorder = Recorder("Alice", "127.77.1.1", relay.getsockname())
        try:
            host, port = recorder.url.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port)), timeout=10) as client:
                accepted, address = relay.accept()
                with accepted:
                    assert address[0] == "127.77.1.1"
                    client.sendall(http("GET", "/v1/relay"))
                    assert accepted.recv(1000).startswith(b"GET /v1/relay")
                    accepted.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    assert client.recv(1000).startswith(b"HTTP/1.1 200")
        finally:
            recorder.close()
    (kept,) = recorder.connections
    assert [request.path for request in requests_of(kept)] == ["/v1/relay"]
    assert kept.down.startswith(b"HTTP/1.1 200")
