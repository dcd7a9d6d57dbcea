"""Web Push on the wire: the RFC's own example, an implementation that is not ours, and what is stored at rest."""

from __future__ import annotations

import os
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from relay.frames import from_b64, to_b64
from relay.outbound import MOST_URL_LENGTH
from relay.push import NOTHING, Subscription, SubscriptionBox
from relay.web_push import Keys, Vapid, encrypt, is_public_key, make_private_key
from tests.push.push_service import Phone, vapid_claims


def test_the_example_of_rfc_8291_appendix_a() -> None:
    private = int.from_bytes(from_b64("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
    body = encrypt(
        b"When I grow up, I want to be a watermelon",
        Keys(
            from_b64("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
            from_b64("BTBZMqHH6r4Tts7J_aSIgg"),
        ),
        salt=from_b64("DGv6ra1nlYgDCS1FRnbzlw"),
        sender=ec.derive_private_key(private, ec.SECP256R1()),
    )
    assert to_b64(body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_"
        "yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_a_phone_opens_it_and_nobody_else() -> None:
    phone = Phone()
    bodies = [encrypt(NOTHING, Keys(phone.p256dh, phone.auth)) for _ in range(3)]
    assert [phone.open(body) for body in bodies] == [bytes(16)] * 3
    assert len({len(body) for body in bodies}) == 1
    assert len(set(bodies)) == 3
    with pytest.raises(Exception, match=r".*"):
        Phone().open(bodies[0])


@pytest.mark.parametrize("point", [b"", bytes(65), b"\4" + bytes(64), b"\4" + b"\xff" * 64, b"\2" + bytes(32)])
def test_what_is_no_point_of_the_curve_is_no_key(point: bytes) -> None:
    assert is_public_key(point) is False
    assert is_public_key(Phone().p256dh)


def test_the_relay_says_who_it_is() -> None:
    vapid = Vapid(make_private_key(), "https://relay.example", wall_clock=lambda: 1_800_000_000.5)
    claims = vapid_claims(vapid.authorization("https://push.example.org"), vapid.public_key, "https://push.example.org")
    assert claims == {"aud": "https://push.example.org", "exp": 1_800_043_200, "sub": "https://relay.example"}


def test_a_subscription_is_sealed_for_its_account_alone() -> None:
    phone, account = Phone(), uuid4()
    box = SubscriptionBox(os.urandom(32))
    longest = "https://push.example.org/" + "a" * (MOST_URL_LENGTH - 25)
    sealed = [
        box.seal(account, Subscription(url, Keys(phone.p256dh, phone.auth))) for url in ("https://a.example/", longest)
    ]
    assert {len(one) for one in sealed} == {2076}
    opened = box.open(account, sealed[1])
    assert opened is not None
    assert (opened.endpoint, opened.keys.auth) == (longest, phone.auth)
    assert b"example" not in sealed[0]
    assert box.open(uuid4(), sealed[0]) is None
    assert SubscriptionBox(os.urandom(32)).open(account, sealed[0]) is None
    assert box.open(account, sealed[0][:-1] + bytes([sealed[0][-1] ^ 1])) is None
