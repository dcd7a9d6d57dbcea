"""Request heads and handshakes that end Hypercorn's worker, or its fences, when nobody stands in between."""

from __future__ import annotations

import os

import pytest

from tests.edge import wire
from tests.edge.server import Server

H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
EARLY = wire.frame(wire.TEXT, b"early")


def handshake_without(name: bytes) -> bytes:
    lines = wire.upgrade().split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.lower().startswith(name.lower() + b":"))


def h2c(settings: bytes) -> bytes:
    return wire.request(b"/", b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: " + settings)


ANSWERED = {
    # WebSocket handshakes that RFC 6455 section 4.2.1 does not allow
    "with a body": (wire.upgrade(b"/echo", b"Content-Length: 5") + b"hello", 400),
    "with a body that never comes": (wire.upgrade(b"/echo", b"Content-Length: 5"), 400),
    "chunked": (wire.upgrade(b"/echo", b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n", 400),
    "expecting 100": (wire.upgrade(b"/echo", b"Expect: 100-continue", b"Content-Length: 5") + b"hello", 400),
    "expecting 100 without a body": (wire.upgrade(b"/echo", b"Expect: 100-continue"), 400),
    "non-ASCII protocol": (wire.upgrade(b"/echo", b"Sec-WebSocket-Protocol: \xff\xff"), 400),
    "non-ASCII extensions": (wire.upgrade(b"/echo", b"Sec-WebSocket-Extensions: \xff\xff"), 400),
    "non-ASCII connection": (wire.upgrade(b"/echo", b"Connection: upgrade, \xff"), 400),
    "HTTP/1.0": (wire.upgrade(version=b"HTTP/1.0"), 400),
    "no key": (handshake_without(b"Sec-WebSocket-Key"), 400),
    "short key": (wire.upgrade(key=b"abc"), 400),
    "two keys": (wire.upgrade(b"/echo", b"Sec-WebSocket-Key: " + wire.KEY), 400),
    "no version": (handshake_without(b"Sec-WebSocket-Version"), 426),
    "version 12 and a frame": (wire.upgrade().replace(b"Version: 13", b"Version: 12") + EARLY, 426),
    "two versions": (wire.upgrade(b"/echo", b"Sec-WebSocket-Version: 12"), 426),
    "no host": (handshake_without(b"Host"), 400),
    "refused by the app, with a frame behind": (wire.upgrade(b"/refuse") + EARLY, 401),
    "to nowhere": (wire.upgrade(b"/nowhere"), 404),
    # ways into HTTP/2
    "h2c": (h2c(b"AAMAAABkAARAAAAAAAIAAAAA"), 200),
    "h2c, bad settings": (h2c(b"AA"), 200),
    "h2c, worse settings": (h2c(b"!!!!"), 200),
    "h2c, no settings": (wire.request(b"/", b"Upgrade: h2c", b"Connection: Upgrade"), 200),
    "prior knowledge": (H2_PREFACE + bytes(200), 505),
    "prior knowledge and noise": (H2_PREFACE + os.urandom(500), 505),
    "prior knowledge, half of it": (H2_PREFACE[:18], 505),
    # versions, targets, framing
    "HTTP/2.0": (wire.request(version=b"HTTP/2.0"), 505),
    "HTTP/0.9": (b"GET / HTTP/0.9\r\n\r\n", 505),
    "CONNECT": (wire.request(b"relay.test:1", method=b"CONNECT"), 400),
    "asterisk": (wire.request(b"*", method=b"OPTIONS"), 400),
    "asterisk handshake": (wire.upgrade(b"*"), 400),
    "absolute form": (wire.request(b"http://elsewhere.test/"), 400),
    "empty path": (wire.upgrade(b"?query"), 400),
    "non-ASCII path": (wire.request(b"/\xff\xfe"), 400),
    "non-ASCII path, escaped": (wire.request(b"/%ff%fe"), 404),
    "non-ASCII path of a handshake": (wire.upgrade(b"/\xff"), 400),
    "not HTTP": (b"GARBAGE\r\n\r\n", 400),
    "no host at all": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (wire.request(b"/", b"Host: elsewhere.test"), 400),
    "another host": (wire.request().replace(b"relay.test", b"elsewhere.test"), 404),
    "an endless header": (wire.request()[:-2] + b"A: " + b"x" * 100_000, 431),
    "bad chunk": (wire.request(b"/length", b"Transfer-Encoding: chunked", method=b"POST") + b"ZZ\r\n", 400),
    # smuggling: two readings of where a request ends
    "two framings": (
        wire.request(b"/length", b"Content-Length: 4", b"Transfer-Encoding: chunked", method=b"POST") + b"0\r\n\r\n",
        400,
    ),
    "two lengths": (
        wire.request(b"/length", b"Content-Length: 4", b"Content-Length: 5", method=b"POST") + b"abcde",
        400,
    ),
    "a coding in HTTP/1.0": (
        wire.request(b"/length", b"Transfer-Encoding: chunked", method=b"POST", version=b"HTTP/1.0") + b"0\r\n\r\n",
        400,
    ),
    "two codings": (wire.request(b"/length", b"Transfer-Encoding: gzip, chunked", method=b"POST"), 501),
    "folded length": (wire.request(b"/length", b"Content-Length:\r\n 4", method=b"POST") + b"abcd", 200),
    "space before the colon": (wire.request(b"/length", b"Content-Length : 4", method=b"POST") + b"abcd", 400),
    # ordinary ones
    "plain": (wire.request(), 200),
    "plain and noise behind": (wire.request() + bytes(4), 200),
    "upgrade to something else": (wire.request(b"/", b"Upgrade: irc", b"Connection: Upgrade"), 200),
    "handshake by HEAD": (wire.upgrade(b"/").replace(b"GET", b"HEAD", 1), 200),
    "expecting 100, politely": (
        wire.request(b"/length", b"Expect: 100-continue", b"Content-Length: 4", method=b"POST"),
        100,
    ),
}


@pytest.mark.parametrize(("sent", "status"), ANSWERED.values(), ids=ANSWERED)
def test_a_head_is_answered_and_nobody_else_notices(port: int, sent: bytes, status: int) -> None:
    with wire.connect(port) as peer:
        peer.say_what_fits(sent)
        assert int(peer.hear_until(b"\r\n").split()[1]) == status
        assert peer.hear_until(b"\r\n\r\n").lower().find(b"101 ") == -1


@pytest.mark.parametrize(
    "sent", [b"", b"G", wire.request()[:-2], wire.upgrade(), wire.upgrade() + EARLY[:3], H2_PREFACE]
)
@pytest.mark.parametrize("reset", [False, True])
def test_a_peer_leaves_at_any_time(port: int, sent: bytes, reset: bool) -> None:
    with wire.connect(port, sent) as peer:
        peer.close(reset=reset)


def test_a_refusal_is_the_last_word(port: int) -> None:
    smuggled = wire.request(b"/length", b"Content-Length: 4", b"Transfer-Encoding: chunked", method=b"POST")
    with wire.connect(port, smuggled + b"0\r\n\r\n" + wire.request()) as peer:
        answer = peer.hear_answer()
        assert (answer.status, answer.headers[b"connection"]) == (400, b"close")
        with pytest.raises(EOFError):
            peer.hear(1)


def test_an_unknown_version_hears_which_one_we_speak(port: int) -> None:
    with wire.connect(port, wire.upgrade().replace(b"Version: 13", b"Version: 12")) as peer:
        assert peer.hear_answer().headers[b"sec-websocket-version"] == b"13"


@pytest.mark.parametrize("path", [b"/echo", b"/late"])
def test_frames_behind_the_handshake_are_handled_in_order(port: int, path: bytes) -> None:
    with wire.connect(port, wire.upgrade(path) + EARLY) as peer:
        assert peer.hear_answer().status == 101
        assert peer.hear_frame() == (wire.TEXT, b"early", True)


def test_a_request_behind_the_handshake_is_not_a_request(port: int) -> None:
    with wire.connect(port, wire.upgrade() + wire.request()) as peer:
        assert peer.hear_answer().status == 101
        assert peer.hear_close() == 1002


def test_a_handshake_may_come_in_crumbs(port: int) -> None:
    with wire.connect(port) as peer:
        for byte in wire.upgrade():
            peer.say(bytes([byte]))
        assert peer.hear_answer().status == 101


def test_header_names_and_values_are_compared_without_case(port: int) -> None:
    sent = wire.upgrade().replace(
        b"Upgrade: websocket\r\nConnection: Upgrade", b"uPGRADE: WebSocket\r\nCONNECTION: keep-alive, upgrade"
    )
    with wire.connect(port, sent) as peer:
        assert peer.hear_answer().status == 101


@pytest.mark.parametrize(
    "offer",
    [
        b"permessage-deflate",
        b"permessage-deflate; client_max_window_bits",
        b"permessage-deflate; client_max_window_bits=99",
        b"permessage-deflate; server_max_window_bits=zz",
    ],
)
def test_compression_is_never_negotiated(port: int, offer: bytes) -> None:
    with wire.connect(port, wire.upgrade(b"/echo", b"Sec-WebSocket-Extensions: " + offer)) as peer:
        answer = peer.hear_answer()
        assert answer.status == 101
        assert b"sec-websocket-extensions" not in answer.headers
        peer.say(wire.frame(wire.TEXT, b"deflated", rsv=0x40))
        assert peer.hear_close() == 1002


def test_pipelined_requests_are_answered_in_order(port: int) -> None:
    posts = [
        wire.request(b"/length", b"Content-Length: %d" % size, method=b"POST") + b"x" * size for size in (0, 3, 5000)
    ]
    with wire.connect(port, b"".join(posts)) as peer:
        assert [peer.hear_answer().body for _ in posts] == [b"0", b"3", b"5000"]


def test_an_error_inside_the_edge_ends_one_connection(server: Server, port: int) -> None:
    """Hypercorn decodes the host as UTF-8 when it knows its server names, and nobody checks it before."""
    with wire.connect(port, wire.request().replace(b"relay.test", b"\xff")) as peer:
        peer.hear_end()
    server.wait_until_logged("connection dropped: UnicodeDecodeError")


def test_no_request_is_logged(server: Server, port: int) -> None:
    wire.get(port, b"/?this-is-not-logged")
    assert "the access log stays off" in server.logged()
    assert "this-is-not-logged" not in server.logged()
    assert "GET" not in server.logged()


def test_the_server_does_not_name_itself(port: int) -> None:
    assert b"server" not in wire.get(port).headers
