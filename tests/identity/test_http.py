"""The HTTP calls from outside: what they answer, and to whom."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from relay.database import Database
from relay.frames import PREKEYS_LOW, from_b64, to_b64
from relay.prekeys import PrekeyUpload
from relay.routes.http import Call
from relay.routes.table import CALLS
from relay.services import Services
from tests.identity.conftest import Http, serve
from tests.identity.members import Clock, Member, key_body, sha256, upload_body

LOWERCASE_ID = "8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a01"
JSON = {"Content-Type": "application/json"}


async def _register(http: Http, code: str, member: Member, one_time: int = 3) -> None:
    answer = await http("POST", "/v1/accounts", auth=f"Invite {code}", json=member.registration_body(one_time))
    assert answer.status == 201, answer.raw
    assert list(answer.json) == ["account_id"]
    member.account_id = UUID(answer.json["account_id"])


# -- what the calls do -----------------------------------------------------------------------------------------------


async def test_a_whole_life(http: Http, services: Services, database: Database, invite_code: str) -> None:
    member = Member(number_key=b"n" * 16, phone_token=b"p" * 32)
    await _register(http, invite_code, member, one_time=100)
    account_id = str(member.account_id)

    # An answer that was lost.
    again = await http("POST", "/v1/accounts", auth=f"Invite {invite_code}", json=member.registration_body(100))
    assert (again.status, again.json) == (201, {"account_id": account_id})

    described = await http("GET", "/v1/account", auth=member.bearer)
    assert (described.status, described.json) == (
        200,
        {
            "account_id": account_id,
            "identity_key": to_b64(member.identity_key),
            "registration_id": 4711,
            "phone_token": to_b64(b"p" * 32),
            "access": {"contact": True, "number": True},
            "recoveries": 0,
            "push": False,
            "registered_on": "2026-09-21",
            "last_session_on": None,
            "prekeys": 100,
            "kyber_prekeys": 100,
            "waiting_envelopes": 0,
            "waiting_bytes": 0,
            "waiting_signals": 0,
            "sessions": 0,
            "mailbox_was_full": False,
            "allowances": {},
            "registration_kept_until": int(services.wall_clock()) + 3600 + 86400,
        },
    )

    signed = member.signed_prekey(9)
    put = await http("PUT", "/v1/keys", auth=member.bearer, json=upload_body(PrekeyUpload(signed_prekey=signed)))
    counted = await http("GET", "/v1/keys", auth=member.bearer)
    assert (put.status, counted.status) == (200, 200)
    assert put.json == counted.json
    assert (put.json["prekeys"], put.json["kyber_prekeys"], len(from_b64(put.json["digest"]))) == (100, 100, 32)

    bundle = await http.take(member.account_id, member.contact_key)
    assert bundle.status == 200
    assert set(bundle.json) == {"identity_key", "registration_id", "signed_prekey", "prekey", "kyber_prekey"}
    assert bundle.json["signed_prekey"] == key_body(signed)
    assert bundle.json["prekey"]["id"] == 2
    assert bundle.json["kyber_prekey"]["id"] == 2

    certificate = await http("GET", "/v1/sender-certificate", auth=member.bearer)
    assert certificate.status == 200
    assert certificate.json["expires_at"] - services.wall_clock() <= 86400
    assert account_id.encode() in from_b64(certificate.json["certificate"])

    changed = await http("PUT", "/v1/account/access", auth=member.bearer, json={"number": None})
    assert (changed.status, changed.raw) == (204, b"")
    assert (await http.take(member.account_id, b"n" * 16)).code == "no_access"
    assert (await http.take(member.account_id, member.contact_key)).status == 200

    gone = await http("DELETE", "/v1/account", auth=member.bearer)
    assert (gone.status, gone.raw) == (204, b"")
    assert (await http("GET", "/v1/account", auth=member.bearer)).code == "unauthorized"
    assert (await http.take(member.account_id, member.contact_key)).code == "no_access"
    assert await database.fetchval("SELECT count(*) FROM kyber_prekeys") == 0


async def test_the_relay_tells_what_it_is(http: Http, services: Services, clock: Clock) -> None:
    answer = await http("GET", "/v1/relay")
    assert answer.status == 200
    assert answer.json == {
        "name": "sottovoce",
        "version": "0.1.0",
        "protocol": 1,
        "trust_root": to_b64(services.trust_root),
        "voprf_public_key": to_b64(services.voprf_public_key),
        "now": int(clock()),
        "calls": False,
        "push_key": None,
        "limits": {
            "body_bytes": [1024, 4096, 16384, 65536],
            "posts_per_frame": 32,
            "mailbox_envelopes": 1000,
            "mailbox_bytes": 33554432,
            "envelope_ttl_s": 2592000,
            "signal_ttl_s": 60,
        },
    }


async def test_when_keys_run_low_the_hook_hears_of_it(services: Services, invite_code: str) -> None:
    heard: list[UUID] = []

    async def prekeys_low(account_id: UUID) -> None:
        heard.append(account_id)

    http = serve(replace(services, prekeys_low=prekeys_low))
    member = Member()
    await _register(http, invite_code, member, one_time=PREKEYS_LOW + 1)
    await http.take(member.account_id, bytes(16))
    await http.take(member.account_id, member.contact_key)
    assert heard == []  # exactly PREKEYS_LOW are left
    await http.take(member.account_id, member.contact_key)
    assert heard == [member.account_id]


async def test_after_deleting_the_hook_hears_of_it(services: Services, member: Member) -> None:
    heard: list[UUID] = []

    async def account_ended(account_id: UUID) -> None:
        heard.append(account_id)

    http = serve(replace(services, account_ended=account_ended))
    wrong = Member(account_id=member.account_id)
    assert (await http("DELETE", "/v1/account", auth=wrong.bearer)).status == 401
    assert heard == []
    await http("DELETE", "/v1/account", auth=member.bearer)
    assert heard == [member.account_id]


# -- who may ask -----------------------------------------------------------------------------------------------------


def _empty_body(call: Call) -> dict[str, Any]:
    if call.path == "/v1/push" and call.request:
        return {"json": {"endpoint": "https://a.example/", "p256dh": to_b64(bytes(65)), "auth": to_b64(bytes(16))}}
    return {"json": {}} if call.request else {}


IDENTIFIED = [call for call in CALLS if call.lane.value != "anonymous"]
ANONYMOUS = [call for call in CALLS if call.lane.value == "anonymous"]


async def test_the_anonymous_lane_hears_nobody_out_who_says_who_they_are(
    http: Http, database: Database, member: Member
) -> None:
    headers = {"Access-Key": to_b64(member.contact_key), "Origin": "https://elsewhere.example"}
    for call in ANONYMOUS:
        path = call.path.replace("{account_id}", str(member.account_id))
        for auth in ("", "Bearer", "Basic eA==", member.bearer):
            answer = await http(call.method, path, auth=auth, headers=headers)
            assert (answer.status, answer.code) == (400, "identified_on_anonymous_lane"), (path, auth)
    assert await database.fetchval("SELECT count(*) FROM prekeys") == 3


def _wrong_tokens(member: Member) -> dict[str, str | None]:
    account_id, secret = str(member.account_id), to_b64(member.secret)
    return {
        "none": None,
        "empty": "",
        "scheme only": "Bearer",
        "other scheme": f"Basic {account_id}.{secret}",
        "no dot": f"Bearer {account_id}{secret}",
        "no secret": f"Bearer {account_id}.",
        "other account": f"Bearer {uuid4()}.{secret}",
        "other secret": f"Bearer {account_id}.{to_b64(bytes(32))}",
        "the stored hash": f"Bearer {account_id}.{to_b64(sha256(member.secret))}",
        "short secret": f"Bearer {account_id}.{secret[:-4]}",
        "not base64url": f"Bearer {account_id}.{secret[:-1]}!",
        "upper case": f"Bearer {account_id.upper()}.{secret}" if account_id.upper() != account_id else "Bearer x.y",
        "braces": f"Bearer {{{account_id}}}.{secret}",
        "no dashes": f"Bearer {account_id.replace('-', '')}.{secret}",
        "not ascii": f"Bearer {account_id}.{secret}\xe9",
    }


async def test_every_identified_call_refuses_every_wrong_token_alike(http: Http, member: Member) -> None:
    answers = set()
    for call in IDENTIFIED:
        if call.lane.value == "bearer":
            for name, token in _wrong_tokens(member).items():
                answer = await http(call.method, call.path, auth=token, **_empty_body(call))
                assert (answer.status, answer.code) == (401, "unauthorized"), (call.path, name)
                answers.add((answer.raw, tuple(sorted(answer.headers.items()))))
    assert len(answers) == 1
    assert (await http("GET", "/v1/account", auth=member.bearer)).status == 200
    assert (await http("GET", "/v1/account", auth=member.bearer.replace("Bearer", "bEARER"))).status == 200


async def test_two_authorization_headers_are_none(http: Http, member: Member) -> None:
    from werkzeug.datastructures import Headers

    client = http._client
    headers = Headers([("Authorization", member.bearer), ("Authorization", member.bearer)])
    assert (await client.get("/v1/account", headers=headers)).status_code == 401


async def test_registering_takes_an_invite(http: Http) -> None:
    body = Member().registration_body()
    for auth, code, challenge in [
        (None, "unauthorized", "Bearer"),
        (f"Bearer {LOWERCASE_ID}.AA", "unauthorized", "Bearer"),
        ("Invite", "unauthorized", "Bearer"),
        ("Invite x", "bad_invite", "Invite"),
        ("Invite " + "0" * 24, "bad_invite", "Invite"),
    ]:
        answer = await http("POST", "/v1/accounts", auth=auth, json=body)
        assert (answer.status, answer.code, answer.headers["www-authenticate"]) == (401, code, challenge), auth


async def test_no_access_is_one_answer(http: Http, member: Member) -> None:
    """For an account that does not exist, a wrong key, and a number key of an account that is closed to strangers."""
    asked = [
        (uuid4(), member.contact_key),
        (member.account_id, bytes(16)),
        (member.account_id, b"n" * 16),
        (uuid4(), bytes(16)),
    ]
    answers = [await http.take(account_id, key) for account_id, key in asked]
    assert {answer.status for answer in answers} == {401}
    assert len({(answer.raw, tuple(sorted(answer.headers.items()))) for answer in answers}) == 1


async def test_a_used_up_allowance_shows_only_to_who_has_access(http: Http, settings: object, member: Member) -> None:
    for _ in range(31):
        last = await http.take(member.account_id, member.contact_key)
    assert last.status == 200
    assert last.json["prekey"] is None
    assert (await http.take(member.account_id, bytes(16))).code == "no_access"


ORIGINS: list[tuple[str | None, bool]] = [
    (None, True),
    ("https://relay.example", True),
    ("https://relay.example/", True),  # React Native
    ("https://RELAY.example", True),
    ("https://relay.example:443", True),
    ("https://relay.example:444", False),
    ("http://relay.example", False),
    ("https://relay.example.evil.example", False),
    ("https://evil.example/relay.example", False),
    ("https://evil.example#https://relay.example", False),
    ("null", False),
    ("", False),
    ("file://", False),
    ("https://[", False),
    ("https://relay.example:x", False),
]


async def test_only_the_relays_own_pages_may_ask(http: Http, member: Member) -> None:
    for origin, allowed in ORIGINS:
        headers = {} if origin is None else {"Origin": origin}
        for answer in (
            await http("GET", "/v1/relay", headers=headers),
            await http("GET", "/v1/account", auth=member.bearer, headers=headers),
        ):
            assert answer.status == (200 if allowed else 403), origin
            assert allowed or answer.code == "foreign_origin"


# -- what may be asked -----------------------------------------------------------------------------------------------


def _break(body: dict[str, object], change: str) -> bytes:
    """One registration body, with one thing wrong with it."""
    broken = json.loads(json.dumps(body))
    prekey, kyber = broken["prekeys"][0], broken["kyber_prekeys"][0]
    match change:
        case "unknown field":
            broken["colour"] = "red"
        case "unknown field deep inside":
            prekey["colour"] = "red"
        case "missing field":
            del broken["token_hash"]
        case "short hash":
            broken["token_hash"] = broken["token_hash"][:-2]
        case "not base64url":
            broken["token_hash"] = "+" + broken["token_hash"][1:]
        case "a second spelling":
            broken["token_hash"] = to_b64(bytes(32))[:-1] + "B"
        case "number in quotes":
            broken["registration_id"] = "4711"
        case "registration id 0":
            broken["registration_id"] = 0
        case "registration id 0x4000":
            broken["registration_id"] = 0x4000
        case "registration id true":
            broken["registration_id"] = True
        case "prekey id 0":
            prekey["id"] = 0
        case "prekey id 0x1000000":
            prekey["id"] = 0x1000000
        case "an id twice":
            broken["prekeys"] = [prekey, prekey]
        case "a kyber id twice":
            broken["kyber_prekeys"] = [kyber, kyber]
        case "101 prekeys":
            broken["prekeys"] = [{**prekey, "id": number} for number in range(1, 102)]
        case "not a Curve25519 key":
            broken["identity_key"] = to_b64(b"\x06" + bytes(32))
        case "not a Kyber key":
            kyber["public_key"] = to_b64(b"\x05" + bytes(1568))
        case "access of nobody":
            broken["access"] = {}
        case "a list":
            return b"[]"
        case "nothing":
            return b""
        case "half":
            return json.dumps(broken).encode()[:-20]
        case "not UTF-8":
            return b'{"token_hash": "\xff\xfe"}'
        case "lone surrogate":
            return b'{"token_hash": "\\ud800"}'
        case "nested too deep":
            return b"[" * 100_000
    return json.dumps(broken).encode()


MALFORMED = [
    ("unknown field", "colour"),
    ("unknown field deep inside", "prekeys.0.colour"),
    ("missing field", "token_hash"),
    ("short hash", "token_hash"),
    ("not base64url", "token_hash"),
    ("a second spelling", "token_hash"),
    ("number in quotes", "registration_id"),
    ("registration id 0", "registration_id"),
    ("registration id 0x4000", "registration_id"),
    ("registration id true", "registration_id"),
    ("prekey id 0", "prekeys.0.id"),
    ("prekey id 0x1000000", "prekeys.0.id"),
    ("an id twice", "prekeys"),
    ("a kyber id twice", "kyber_prekeys"),
    ("101 prekeys", "prekeys"),
    ("not a Curve25519 key", "identity_key"),
    ("not a Kyber key", "kyber_prekeys.0.public_key"),
    ("access of nobody", "access.contact"),
    ("a list", "body"),
    ("nothing", "body"),
    ("half", "body"),
    ("not UTF-8", "body"),
    ("lone surrogate", "body"),
    ("nested too deep", "body"),
]


async def test_a_malformed_body_is_refused_by_the_place(http: Http, invite_code: str) -> None:
    body = Member().registration_body()
    for change, field in MALFORMED:
        data = _break(body, change)
        answer = await http("POST", "/v1/accounts", auth=f"Invite {invite_code}", data=data, headers=JSON)
        assert (answer.status, answer.code) == (400, "bad_request"), change
        assert field in answer.json["fields"], change
        assert b"red" not in answer.raw
    # None of it has cost the invite, and the body that all were made of is good.
    assert (await http("POST", "/v1/accounts", auth=f"Invite {invite_code}", json=body)).status == 201


async def test_null_and_absent_numbers_are_the_same(http: Http, invite_code: str) -> None:
    member = Member()
    body = member.registration_body()
    body["phone_token"] = None
    body["access"]["number"] = None
    body["token_hash"] += "="  # padding may be there
    assert (await http("POST", "/v1/accounts", auth=f"Invite {invite_code}", json=body)).status == 201


async def test_a_contact_key_cannot_be_null(http: Http, member: Member) -> None:
    answer = await http("PUT", "/v1/account/access", auth=member.bearer, json={"contact": None})
    assert (answer.code, answer.json["fields"]) == ("bad_request", ["contact"])
    assert (await http("PUT", "/v1/account/access", auth=member.bearer, json={})).status == 204
    assert (await http.take(member.account_id, member.contact_key)).status == 200


async def test_a_body_that_is_not_json_is_refused(http: Http, member: Member) -> None:
    for content_type in (None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        headers = {} if content_type is None else {"Content-Type": content_type}
        answer = await http("PUT", "/v1/account/access", auth=member.bearer, data=b"{}", headers=headers)
        assert (answer.code, answer.json["fields"]) == ("bad_request", ["Content-Type"]), content_type


async def test_the_place_of_a_long_unknown_field_is_cut(http: Http, member: Member) -> None:
    body = {f"{number}-{'x' * 50}": 1 for number in range(15)}
    answer = await http("PUT", "/v1/account/access", auth=member.bearer, json=body)
    assert answer.code == "bad_request"
    assert len(answer.json["fields"]) == 10
    answer = await http("PUT", "/v1/account/access", auth=member.bearer, json={"x" * 900: 1})
    assert answer.json["fields"] == ["x" * 64]


async def test_an_access_key_has_16_bytes(http: Http) -> None:
    for key in (None, "", "A", to_b64(bytes(15)), to_b64(bytes(17)), "!" * 22):
        headers = {} if key is None else {"Access-Key": key}
        answer = await http("POST", f"/v1/prekeys/{LOWERCASE_ID}/take", headers=headers)
        assert (answer.code, answer.json["fields"]) == ("bad_request", ["Access-Key"]), key


# -- conflicts -------------------------------------------------------------------------------------------------------


async def test_number_taken(http: Http, services: Services) -> None:
    first, second = await services.invites.mint(count=2, ttl_s=60)
    await _register(http, first.code, Member(phone_token=b"p" * 32))
    body = Member(phone_token=b"p" * 32).registration_body()
    answer = await http("POST", "/v1/accounts", auth=f"Invite {second.code}", json=body)
    assert (answer.status, answer.code) == (409, "number_taken")


async def test_bad_signature(http: Http, invite_code: str, member: Member, services: Services) -> None:
    other = Member()
    body = {**member.registration_body(), "identity_key": to_b64(other.identity_key)}
    code = (await services.invites.mint(ttl_s=60))[0].code
    answer = await http("POST", "/v1/accounts", auth=f"Invite {code}", json=body)
    assert (answer.status, answer.code) == (422, "bad_signature")
    put = await http(
        "PUT", "/v1/keys", auth=member.bearer, json=upload_body(PrekeyUpload(kyber_prekeys=other.kyber_prekeys(9)))
    )
    assert (put.status, put.code) == (422, "bad_signature")


async def test_too_many_prekeys(http: Http, member: Member) -> None:
    for first, status in [(100, 200), (200, 409)]:
        upload = PrekeyUpload(prekeys=member.prekeys(*range(first, first + 100)))
        answer = await http("PUT", "/v1/keys", auth=member.bearer, json=upload_body(upload))
        assert answer.status == status
    assert answer.code == "too_many_prekeys"


async def test_an_account_that_goes_while_it_asks_is_unauthorized(services: Services, member: Member) -> None:
    """Every call, in the moment between authentication and statement."""

    class Anybody:
        async def authenticate(self, _account_id: UUID, _secret: bytes) -> None:
            return None

        def __getattr__(self, name: str) -> object:
            return getattr(services.accounts, name)

    http = serve(replace(services, accounts=Anybody()))  # type: ignore[arg-type]
    ghost = Member(account_id=uuid4())
    for call in IDENTIFIED:
        if call.lane.value == "bearer":
            answer = await http(call.method, call.path, auth=ghost.bearer, **_empty_body(call))
            assert (answer.status, answer.code) == (401, "unauthorized"), call.path
