"""STUN against the vectors of RFC 5769, round trips, and what is no message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.stun import (
    Attribute,
    Credentials,
    Kind,
    Method,
    NotStun,
    encode,
    is_authentic,
    parse,
    written_address,
)
from relay.turn_client import TurnServer, read_uri

# RFC 5769 section 2.4: a request with long-term authentication.
LONG_TERM = bytes.fromhex(
    "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382af"
    "e382b900000015001c662f2f3439396b39353464364f4c33346f4c3946535476793634734100"
    "14000b6578616d706c652e6f72670000080014f67024656dd64a3e02b8e0712e85c9a28ca89666"
)
# RFC 5769 section 2.2 and 2.3: answers with a mapped address, IPv4 and IPv6, under the password VOkJxbRl1RmTxUk/WvJxBt.
IPV4_ANSWER = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
)
IPV6_ANSWER = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    "00080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
)
SHORT_TERM_KEY = b"VOkJxbRl1RmTxUk/WvJxBt"
ID = bytes(range(12))


def test_long_term_credentials_of_the_rfc() -> None:
    message = parse(LONG_TERM)
    username = message.text(Attribute.USERNAME)
    realm, nonce = message.text(Attribute.REALM), message.attributes[Attribute.NONCE]
    assert (message.kind, message.method, realm) == (Kind.REQUEST, Method.BINDING, "example.org")
    key = Credentials(username, "TheMatrIX", realm, nonce).key  # the password after SASLprep
    assert is_authentic(LONG_TERM, key)
    assert not is_authentic(LONG_TERM, Credentials(username, "TheMatriX", realm, nonce).key)


@pytest.mark.parametrize(
    ("answer", "address"),
    [(IPV4_ANSWER, ("192.0.2.1", 32853)), (IPV6_ANSWER, ("2001:db8:1234:5678:11:2233:4455:6677", 32853))],
)
def test_answers_of_the_rfc(answer: bytes, address: tuple[str, int]) -> None:
    message = parse(answer)
    assert message.kind is Kind.SUCCESS
    assert message.address(Attribute.XOR_MAPPED_ADDRESS) == address
    assert is_authentic(answer, SHORT_TERM_KEY)
    assert not is_authentic(answer[:30] + b"x" + answer[31:], SHORT_TERM_KEY)


def test_a_wrong_fingerprint_is_no_message() -> None:
    with pytest.raises(NotStun, match="fingerprint"):
        parse(IPV4_ANSWER[:-1] + b"\0")


@given(
    st.sampled_from(Kind),
    st.sampled_from(Method),
    st.binary(min_size=12, max_size=12),
    st.binary(max_size=50),
    st.booleans(),
)
def test_what_is_written_is_read(kind: Kind, method: Method, transaction_id: bytes, data: bytes, signed: bool) -> None:
    credentials = Credentials("user", "password", "realm", b"nonce") if signed else None
    peer = ("192.0.2.9", 4711)
    attributes = [
        (Attribute.DATA, data),
        (Attribute.XOR_PEER_ADDRESS, written_address(peer, transaction_id)),
    ]
    written = encode(kind, method, transaction_id, attributes, credentials)
    read = parse(written)
    assert (read.kind, read.method, read.transaction_id) == (kind, method, transaction_id)
    assert read.attributes[Attribute.DATA] == data
    assert read.address(Attribute.XOR_PEER_ADDRESS) == peer
    assert is_authentic(written, Credentials("user", "password", "realm", b"nonce").key) is signed


@given(st.binary(max_size=200) | st.binary(max_size=80).map(lambda tail: LONG_TERM[:20] + tail))
def test_nothing_that_comes_is_a_crash(received: bytes) -> None:
    try:
        parse(received)
    except NotStun:
        return


def test_uris() -> None:
    assert read_uri("turn:turn.example.org") == TurnServer("turn.example.org", 3478, "udp", False)
    assert read_uri("turn:192.0.2.1:3479?transport=tcp") == TurnServer("192.0.2.1", 3479, "tcp", False)
    assert read_uri("turns:[2001:db8::1]:443?transport=tcp") == TurnServer("2001:db8::1", 443, "tcp", True)
    with pytest.raises(ValueError, match="turn: URI"):
        read_uri("https://example.org")
