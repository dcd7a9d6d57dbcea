"""The same fences when hypercorn itself ends TLS: no HTTP/2 is offered, and a peer that stalls is cut off."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trustme

from tests.edge import wire
from tests.edge.server import Server, serve
from tests.edge.wire import CLOSE, TEXT, frame


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    here = tmp_path_factory.mktemp("tls")
    key, certificate = str(here / "key.pem"), str(here / "certificate.pem")
    issued = trustme.CA().issue_cert("relay.test")
    issued.private_key_pem.write_to_path(key)
    issued.cert_chain_pems[0].write_to_path(certificate)
    options = ("--certfile", certificate, "--keyfile", key)
    with serve(here / "log", *options, wait=False, write_deadline_s=1, head_deadline_s=1) as running:
        running.wait_until_logged("Running on https")
        yield running


@contextmanager
def secure(server: Server, alpn: list[str] | None = None, receive_buffer: int | None = None) -> Iterator[wire.Peer]:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    with wire.connect(server.port, receive_buffer=receive_buffer) as peer:
        peer.socket = context.wrap_socket(peer.socket)
        yield peer


def test_http2_is_not_offered(server: Server) -> None:
    with secure(server, ["h2", "http/1.1"]) as peer:
        assert isinstance(peer.socket, ssl.SSLSocket)
        assert peer.socket.selected_alpn_protocol() == "http/1.1"
        peer.say(wire.request())
        assert peer.hear_answer().status == 200


def test_a_session_lives_and_ends(server: Server) -> None:
    with secure(server) as peer:
        peer.say(wire.upgrade())
        assert peer.hear_answer().status == 101
        peer.say(frame(TEXT, b"hello"))
        assert peer.hear_frame().payload == b"hello"
        peer.say(frame(CLOSE, wire.close_payload(1000)))
        assert peer.hear_close() == 1000
        assert peer.hear_end()


def test_a_slow_reader_is_cut_off(server: Server) -> None:
    with secure(server, receive_buffer=4096) as peer:
        peer.say(wire.upgrade(b"/flood"))
        assert peer.hear_answer().status == 101
        time.sleep(2)
        peer.hear_end()


def test_a_head_has_a_deadline(server: Server) -> None:
    with secure(server) as peer:
        peer.say(wire.request()[:-2])
        assert peer.hear_end()


def test_noise_instead_of_tls_harms_nobody(server: Server) -> None:
    with secure(server) as witness:
        with wire.connect(server.port, wire.request() + b"\xff" * 500) as peer:
            peer.hear_end()
        witness.say(wire.request())
        assert witness.hear_answer().status == 200
