"""A push service as Mozilla's or ntfy's, on a real TLS port: keeps what it is sent, answers as it is told."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import http_ece
import trustme
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from relay.frames import from_b64, to_b64

WITHIN_S = 30.0


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class PushService:
    """`answers` are used up one after the other, then 201. `url` has the port; `host` is as the operator allows it."""

    port: int
    received: list[Received] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    @property
    def url(self) -> str:
        return f"https://{self.host}/up/abc?x=1"

    def wait_for(self, count: int) -> list[Received]:
        """Until so many pushes came."""
        deadline = time.monotonic() + WITHIN_S
        with self.changed:
            while len(self.received) < count:
                assert self.changed.wait(deadline - time.monotonic()), f"{len(self.received)} pushes, not {count}"
            return list(self.received)


@contextmanager
def push_service(authority: trustme.CA) -> Iterator[PushService]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with service.changed:
                status, headers = service.answers.pop(0) if service.answers else (201, {})
                service.received.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                service.changed.notify_all()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    service = PushService(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Phone:
    """The app's end of a subscription."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.p256dh = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.auth = b"0123456789abcdef"

    def subscription(self, endpoint: str) -> dict[str, str]:
        return {"endpoint": endpoint, "p256dh": to_b64(self.p256dh), "auth": to_b64(self.auth)}

    def open(self, body: bytes) -> bytes:
        """Decrypts a push with an implementation that is not ours."""
        opened: bytes = http_ece.decrypt(body, private_key=self._key, auth_secret=self.auth, version="aes128gcm")
        return opened


def vapid_claims(authorization: str, public_key: bytes, origin: str) -> dict[str, Any]:
    """What the relay says of itself, its signature checked (RFC 8292, RFC 7515)."""
    scheme, _, rest = authorization.partition(" ")
    parts = dict(one.strip().split("=", 1) for one in rest.split(","))
    assert (scheme, from_b64(parts["k"])) == ("vapid", public_key)
    head, body, signature = parts["t"].split(".")
    raw = from_b64(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key)
    point.verify(der, f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
    assert json.loads(from_b64(head))["alg"] == "ES256"
    claims: dict[str, Any] = json.loads(from_b64(body))
    assert claims["aud"] == origin
    return claims
