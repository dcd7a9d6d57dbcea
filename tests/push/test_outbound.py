"""The way out: what is not asked, in every spelling, and that what was checked is what is connected to."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import pytest
import trio
import trustme

from relay import outbound
from relay.outbound import Outbound, OutboundFailed, OutboundRefused, is_public
from tests.push.push_service import PushService, push_service

PUBLIC = "93.184.215.14"


async def to_public(host: str, port: int) -> list[str]:
    return [PUBLIC]


def resolving_to(*addresses: str) -> Outbound:
    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    return Outbound(resolve=resolve)


@pytest.mark.parametrize(
    "url",
    [
        "https://push.example.org/up/abc?x=1&y=%20",
        "https://push.example.org",
        "https://push.example.org:443/",
        "https://a-b.xn--bcher-kva.example/",
    ],
)
async def test_plain_urls_are_taken(url: str) -> None:
    target = await Outbound(resolve=to_public).check(url)
    assert target.path.startswith("/")
    assert target.vouched is False


@pytest.mark.parametrize(
    "url",
    [
        "http://push.example.org/",
        "HTTPS://push.example.org/",
        "ftp://push.example.org/",
        "//push.example.org/",
        "https:push.example.org/",
        "https:///push.example.org/",
        "",
        "https://",
        "https://user@push.example.org/",
        "https://user:password@push.example.org/",
        "https://push.example.org@127.0.0.1/",
        "https://127.0.0.1#@push.example.org/",
        "https://push.example.org\\@127.0.0.1/",
        "https://push.example.org/#fragment",
        "https://push.example.org/a b",
        "https://push.example.org/\r\nHost: x",
        "https://push.example.org/\n",
        "\thttps://push.example.org/",
        "https://push.example.org:80/",
        "https://push.example.org:8443/",
        "https://push.example.org:22/",
        "https://push.example.org:0/",
        "https://push.example.org:65536/",
        "https://push.example.org:443:443/",
        "https://push.example.org:/",
        "https://localhost/",
        "https://relay/",
        "https://push..example.org/",
        "https://.example.org/",
        "https://-push.example.org/",
        "https://push.example.org./",
        "https://bücher.example/",
        "https://push。example.org/",
        "https://push.example.org/ü",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://127.0.0.1./",
        "https://2130706433/",
        "https://017700000001/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://example.0x7f/",
        "https://%31%32%37.0.0.1/",
        "https://①②⑦.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[fe80::1%25eth0]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://93.184.215.14/",
        "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/",
        "https://push.example.org/" + "a" * 1024,
    ],
)
async def test_everything_else_is_not(url: str) -> None:
    """Judged by the text alone: nothing of this is resolved."""

    async def never(host: str, port: int) -> list[str]:
        raise AssertionError(host)

    with pytest.raises(OutboundRefused):
        await Outbound(resolve=never).check(url)


NOT_PUBLIC = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:93.184.215.14", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1",
    "2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1",
    "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
    "localhost", "", "1", "127.1", "0x7f.0.0.1", "0177.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
async def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    assert is_public(address) is False
    with pytest.raises(OutboundRefused, match="not public"):
        await resolving_to(address).check("https://push.example.org/")
    with pytest.raises(OutboundRefused):  # one of several shows what the name is for
        await resolving_to(PUBLIC, address).check("https://push.example.org/")


@pytest.mark.parametrize(
    "address", [PUBLIC, "1.1.1.1", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "2a01:4f8::1"]
)
def test_what_is_public(address: str) -> None:
    assert is_public(address)


# -- on real sockets ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def service(authority: trustme.CA) -> Iterator[PushService]:
    with push_service(authority) as running:
        yield running


def out(authority: trustme.CA, *hosts: str) -> Outbound:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return Outbound(hosts, tls=context)


async def test_a_host_that_the_operator_vouches_for_is_asked(authority: trustme.CA, service: PushService) -> None:
    way = out(authority, service.host)
    target = await way.check(service.url)
    assert target.origin == f"https://{service.host}"
    service.answers = [(429, {"Retry-After": "120"}), (500, {"Retry-After": "soon"})]
    assert await way.post(target, {"TTL": "60"}, b"body") == (429, 120)
    assert await way.post(target, {}, b"") == (500, None)
    assert (await way.post(target, {}, b"x" * 4000)).status == 201
    first, _, last = service.received
    assert (first.path, first.body, first.headers["ttl"], first.headers["host"]) == (
        "/up/abc?x=1",
        b"body",
        "60",
        service.host,
    )
    assert len(last.body) == 4000


async def test_he_vouches_for_one_port_of_it(authority: trustme.CA, service: PushService) -> None:
    for hosts in ((), ("localhost",), (f"localhost:{service.port + 1}",), (f"other:{service.port}",)):
        with pytest.raises(OutboundRefused):
            await out(authority, *hosts).check(service.url)


async def test_a_redirect_is_an_answer_and_not_followed(authority: trustme.CA, service: PushService) -> None:
    way = out(authority, service.host)
    service.answers = [(307, {"Location": f"https://{service.host}/elsewhere"})]
    assert (await way.post(await way.check(service.url), {}, b"x")).status == 307
    assert len(service.received) == 1


async def test_a_name_that_changes_its_mind_is_refused_before_anything_is_connected(
    authority: trustme.CA, service: PushService
) -> None:
    """Rebinding: public when it was looked at, inside when it is asked."""
    answers = [[PUBLIC], ["127.0.0.1"]]

    async def resolve(host: str, port: int) -> list[str]:
        return answers.pop(0)

    way = Outbound(resolve=resolve)
    target = await way.check("https://push.example.org/")
    with pytest.raises(OutboundRefused):
        await way.post(target, {}, b"x")
    assert answers == []  # resolved once for each, and what was resolved is what is connected to


async def test_the_connection_goes_to_the_address_that_was_checked(authority: trustme.CA, service: PushService) -> None:
    resolved = []

    async def resolve(host: str, port: int) -> list[str]:
        resolved.append(host)
        return ["127.0.0.1"]

    context = ssl.create_default_context()
    authority.configure_trust(context)
    way = Outbound([f"localhost:{service.port}"], resolve=resolve, tls=context)
    assert (await way.post(way.read(service.url), {}, b"x")).status == 201
    assert resolved == ["localhost"]


async def test_a_certificate_of_another_name_or_authority_will_not_do(
    authority: trustme.CA, service: PushService
) -> None:
    for way in (out(trustme.CA(), service.host), Outbound([service.host])):
        with pytest.raises(OutboundFailed):
            await way.post(way.read(service.url), {}, b"x")
    other = f"127.0.0.1:{service.port}"
    way = out(authority, other)
    with pytest.raises(OutboundFailed):
        await way.post(way.read(f"https://{other}/"), {}, b"x")
    assert service.received == []


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, b"SSH-2.0-x\r\n" * 100, None])
async def test_a_server_that_says_nothing_or_too_much_is_left(
    authority: trustme.CA, said: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (outbound.WITHIN_S, outbound.MOST_BYTES) == (5.0, 4096)
    monkeypatch.setattr(outbound, "WITHIN_S", 1.0 if said is None else 20.0)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        try:
            await stream.receive_some(65536)
            if said is None:
                await trio.sleep_forever()
            else:
                await stream.send_all(said)
                await stream.aclose()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_ssl_over_tcp, serve, 0, context)
        port = listeners[0].transport_listener.socket.getsockname()[1]
        way = out(authority, f"localhost:{port}")
        with pytest.raises(OutboundFailed):
            await way.post(way.read(f"https://localhost:{port}/"), {}, b"x")
        nursery.cancel_scope.cancel()


async def test_nobody_there(authority: trustme.CA) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    way = out(authority, f"localhost:{port}")
    with pytest.raises(OutboundFailed):
        await way.post(way.read(f"https://localhost:{port}/"), {}, b"x")
    with pytest.raises(OutboundFailed):
        await resolving_to().check("https://push.example.org/")
