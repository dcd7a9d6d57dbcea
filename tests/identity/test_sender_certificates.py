"""Sender certificates, judged by the official libsignal."""

from __future__ import annotations

from uuid import UUID

import pytest

from relay.secret_files import RelayKeys
from relay.sender_certificates import SenderCertificates
from relay.xeddsa_signatures import make_private_key, public_key_of
from tests.identity.libsignal import judge
from tests.identity.members import Clock

ACCOUNT = UUID("8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a01")
DAY = 86400


def _issuer(keys: RelayKeys, clock: Clock, ttl_s: int = DAY) -> SenderCertificates:
    return SenderCertificates(keys.server_key, keys.server_certificate, ttl_s=ttl_s, wall_clock=clock)


def test_libsignal_believes_it_until_it_expires(relay_keys: RelayKeys, clock: Clock) -> None:
    identity_key = public_key_of(make_private_key())
    certificate, expires_at = _issuer(relay_keys, clock).issue(ACCOUNT, identity_key)
    other_root = public_key_of(make_private_key())
    tampered = certificate.replace(str(ACCOUNT).encode(), str(ACCOUNT).replace("8d5f", "8d5e").encode())
    assert tampered != certificate

    def ask(root: bytes, shown: bytes, at_s: int) -> dict[str, object]:
        return {"trust_root": root.hex(), "certificate": shown.hex(), "at_ms": at_s * 1000}

    good, late, foreign, forged = judge(
        {
            "certificates": [
                ask(relay_keys.trust_root, certificate, expires_at),
                ask(relay_keys.trust_root, certificate, expires_at + 1),
                ask(other_root, certificate, expires_at),
                ask(relay_keys.trust_root, tampered, expires_at),
            ]
        }
    )["certificates"]
    assert good == {
        "valid": True,
        "sender": str(ACCOUNT),
        "device": 1,
        "e164": None,
        "expires_ms": expires_at * 1000,
        "identity_key": identity_key.hex(),
        "key_id": 1,
    }
    assert [late["valid"], foreign["valid"], forged["valid"]] == [False, False, False]


@pytest.mark.parametrize("second", [0, 1, 1799, 3599])
def test_the_expiry_does_not_tell_when_it_was_issued(relay_keys: RelayKeys, second: int) -> None:
    clock = Clock(497_000 * 3600 + second)
    _, expires_at = _issuer(relay_keys, clock).issue(ACCOUNT, public_key_of(make_private_key()))
    assert expires_at == (497_000 + 24) * 3600
    assert expires_at <= clock() + DAY


@pytest.mark.parametrize("ttl_s", [1, 2, 60, 3600, 7000, DAY])
def test_a_short_life_is_still_a_life(relay_keys: RelayKeys, clock: Clock, ttl_s: int) -> None:
    for clock.now in range(1_790_000_000, 1_790_003_600, 97):
        _, expires_at = _issuer(relay_keys, clock, ttl_s).issue(ACCOUNT, public_key_of(make_private_key()))
        assert clock.now + ttl_s / 2 <= expires_at <= clock.now + ttl_s
