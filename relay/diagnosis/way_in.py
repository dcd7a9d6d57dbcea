"""The way in: what stands between an app and the relay (tunnel, proxy, onion service) must let through what the protocol needs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

from relay.config import Settings, is_onion_service
from relay.diagnosis.finding import Finding, bad, good, warning
from relay.errors import BadInvite, IdentifiedOnAnonymousLane, NoAccess
from relay.frames import to_b64
from relay.probe import Answer, CertificateRefused, Probe, ProbeError
from relay.secret_files import TRUST_ROOT_PUBLIC, SecretFileError, read_secret

CLOCK_MAY_DIFFER_S: Final = 60.0
"""Envelope ids are good for 48 hours back and one ahead; a minute is far from that, and more than a network takes."""
CERTIFICATE_LEFT_S: Final = 14 * 86400
LARGEST_BODY: Final = 240 * 1024
"""A registration with all its keys."""


def look_at_way_in(settings: Settings) -> Iterator[Finding]:
    """Asks the relay at its public URL. Without an answer the rest is not looked at."""
    yield _scheme(settings.public_url)
    if is_onion_service(settings.public_url):
        yield from _place(settings)
        if "torsocks" not in os.environ.get("LD_PRELOAD", ""):
            # Not even asked for: the question would tell a resolver whose service this is (RFC 7686, section 2).
            yield warning(
                "url-answers",
                "an onion service can be asked through Tor only, so nobody has looked whether the relay answers there",
                "apt-get install torsocks, then torsocks relay doctor; relay check --url http://127.0.0.1:8000 needs no Tor",
            )
            return
    probe = Probe(settings.public_url)
    try:
        answer = probe.call("GET", "/v1/relay")
    except CertificateRefused as error:
        yield bad("url-certificate", f"apps will not connect: {error}", "renew it where TLS ends, with its whole chain")
        return
    except ProbeError as error:
        yield bad(
            "url-answers",
            f"nothing answers at {settings.public_url}: {error}",
            "does the relay run, does its proxy or tunnel, and does the name lead here?",
        )
        return
    yield from _certificate(answer)
    refused = _unexpected(answer)
    if refused is not None:
        yield refused
        return
    yield good("url-answers", f"a relay answers at {settings.public_url}")
    yield _same_relay(settings, answer)
    yield _clock(answer)
    for check in (_authorization_arrives, _access_key_arrives, _bodies_arrive, _websockets_arrive):
        try:
            yield check(probe)
        except ProbeError as error:
            code = check.__name__.removeprefix("_").replace("_", "-")
            yield bad(code, f"no answer to one of the calls that apps make: {error}", "look into the proxy's log")


def _scheme(url: str) -> Finding:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https" or is_onion_service(url):
        return good("url-safe", "apps connect through TLS or to an onion service")
    where = "this machine" if host in ("localhost", "::1") or host.startswith("127.") else "clear text"
    return warning(
        "url-safe",
        f"public_url is {url}: that is {where}, so no phone should use it",
        "put a proxy, tunnel or onion service in front (deploy/) and set public_url to its https address",
    )


def _place(settings: Settings) -> Iterator[Finding]:
    """What shows where a relay is that nobody should find."""
    if settings.push:
        yield warning(
            "onion-push", "pushes tell push services this machine's address", "push = false, if nobody should know it"
        )
    if settings.turn_urls:
        yield warning(
            "onion-calls",
            "calls go to a TURN server by its address, past Tor",
            "leave turn_urls out, if nobody should know it",
        )


def _certificate(answer: Answer) -> Iterator[Finding]:
    if answer.certificate_ends_at is None:
        return
    left = answer.certificate_ends_at - time.time()
    if left < CERTIFICATE_LEFT_S:
        yield bad("url-certificate", f"the TLS certificate ends in {left / 86400:.0f} days", "is its renewal running?")
    else:
        yield good("url-certificate", f"the TLS certificate is good for {left / 86400:.0f} days")


def _unexpected(answer: Answer) -> Finding | None:
    told = answer.json()
    if isinstance(told, dict) and told.get("protocol") and answer.status == 200:
        return None
    if answer.code == IdentifiedOnAnonymousLane.code:
        return bad(
            "url-adds-login",
            "something on the way adds an Authorization header to requests that have none",
            "switch off authentication at the proxy: the relay does its own, and sending must be anonymous",
        )
    if answer.status in range(300, 400):
        return bad(
            "url-redirects",
            f"public_url is redirected ({answer.status}); apps follow no redirect",
            "set public_url to where it leads, and make invites again",
        )
    return bad(
        "url-answers",
        f"what answers at public_url is no relay (status {answer.status})",
        "does the proxy lead to the relay's port? 502 and 530 mean that it does not reach it",
    )


def _same_relay(settings: Settings, answer: Answer) -> Finding:
    try:
        own = read_secret(settings.secrets_directory / TRUST_ROOT_PUBLIC)
    except SecretFileError:
        own = None
    if own is None or answer.json().get("trust_root") != to_b64(own):
        return bad(
            "url-same-relay",
            "the relay at public_url has another trust root than the keys here",
            "is var_directory the one of the relay that runs? Else the name leads to another relay",
        )
    return good("url-same-relay", "it is the relay of these keys")


def _clock(answer: Answer) -> Finding:
    """Of whatever answered first: with a tunnel or a proxy elsewhere that is another machine's clock."""
    try:
        theirs = parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError):
        theirs = float(answer.json()["now"])
    difference = time.time() - theirs
    if abs(difference) > CLOCK_MAY_DIFFER_S:
        return bad(
            "clock-outside",
            f"the clock here and the one at public_url differ by {abs(difference):.0f} s",
            "synchronise this machine: timedatectl set-ntp true. Envelopes are refused by their time when it is an hour off",
        )
    return good("clock-outside", "the clock agrees with the one at public_url")


def _authorization_arrives(probe: Probe) -> Finding:
    """The anonymous lane refuses whoever shows a login, so an anonymous call with one tells whether it came through."""
    answer = probe.call("GET", "/v1/relay", headers={"Authorization": "Bearer nobody"})
    if answer.code == IdentifiedOnAnonymousLane.code:
        return good("authorization-arrives", "the header Authorization comes through")
    return bad(
        "authorization-arrives",
        "the header Authorization is taken out on the way, so nobody can log in",
        "let the proxy pass it on (nginx: proxy_set_header Authorization $http_authorization; and no auth_basic)",
    )


def _access_key_arrives(probe: Probe) -> Finding:
    answer = probe.call("POST", f"/v1/prekeys/{uuid4()}/take", headers={"Access-Key": to_b64(bytes(16))})
    if answer.code == NoAccess.code:
        return good("access-key-arrives", "the header Access-Key comes through")
    return bad(
        "access-key-arrives",
        f"the header Access-Key does not come through (status {answer.status}), so nobody can begin a conversation",
        "let the proxy pass all request headers on",
    )


def _bodies_arrive(probe: Probe) -> Finding:
    body = b'{"filler": "' + b"x" * LARGEST_BODY + b'"}'
    answer = probe.call("POST", "/v1/accounts", body, headers={"Authorization": "Invite 000000000000000000000000"})
    if answer.code == BadInvite.code:
        return good("bodies-arrive", "bodies of 240 KiB come through")
    return bad(
        "bodies-arrive",
        f"a body of 240 KiB does not come through (status {answer.status}), so nobody can register",
        "allow 256 KiB at the proxy (nginx: client_max_body_size 256k)",
    )


def _websockets_arrive(probe: Probe) -> Finding:
    try:
        with probe.websocket("/v1/post") as socket:
            socket.expect("hello")
    except ProbeError as error:
        return bad(
            "websockets-arrive",
            f"a WebSocket does not come through ({error}), so nobody can send or receive",
            "let the proxy pass upgrades on (nginx: proxy_http_version 1.1, the headers Upgrade and Connection)",
        )
    return good("websockets-arrive", "WebSockets come through")
