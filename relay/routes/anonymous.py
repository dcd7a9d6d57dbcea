"""Anonymous lane: what this relay is, prekey bundles, health. Nobody says here who they are."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Final, Literal

from quart import Blueprint
from werkzeug.datastructures import Headers

from relay.errors import BadRequest, NoAccess
from relay.frames import B64, BODY_BYTES, POST_MAX_ENVELOPES, PREKEYS_LOW, PROTOCOL, Malformed, from_b64
from relay.queries import identity as sql
from relay.routes.http import Asked, Call, Lane, Message, blueprint_of
from relay.routes.models import EcPublicKey, Hash, KyberPrekey, Prekey, SignedPrekey
from relay.services import Services

DISTRIBUTION: Final = "sottovoce-relay"
ACCESS_KEY_BYTES: Final = 16


class Limits(Message):
    body_bytes: list[int]
    posts_per_frame: int
    mailbox_envelopes: int
    mailbox_bytes: int
    envelope_ttl_s: int
    signal_ttl_s: int


class RelayInfo(Message):
    name: str
    version: str
    protocol: int
    trust_root: EcPublicKey
    voprf_public_key: Hash
    now: int
    calls: bool
    push_key: Annotated[bytes, B64(65)] | None
    limits: Limits


class BundleOut(Message):
    identity_key: EcPublicKey
    registration_id: int
    signed_prekey: SignedPrekey
    prekey: Prekey | None
    kyber_prekey: KyberPrekey


class Health(Message):
    status: Literal["up", "ready"]


async def tell(services: Services, _asked: Asked[None, None]) -> RelayInfo:
    """What this relay is, and its limits."""
    settings = services.settings
    return RelayInfo(
        name=settings.name,
        version=version(DISTRIBUTION),
        protocol=PROTOCOL,
        trust_root=services.trust_root,
        voprf_public_key=services.voprf_public_key,
        now=int(services.wall_clock()),
        calls=services.turn is not None,
        push_key=None if services.push is None else services.push.public_key,
        limits=Limits(
            body_bytes=list(BODY_BYTES),
            posts_per_frame=POST_MAX_ENVELOPES,
            mailbox_envelopes=settings.mailbox_envelopes,
            mailbox_bytes=settings.mailbox_bytes,
            envelope_ttl_s=settings.envelope_ttl_s,
            signal_ttl_s=settings.signal_ttl_s,
        ),
    )


async def take(services: Services, asked: Asked[None, None]) -> BundleOut:
    """Hands out one prekey bundle. The header `Access-Key` carries an access key of the account, b64(16)."""
    account_id = asked.path["account_id"]
    taken = await services.prekeys.take(account_id, _access_key(asked.headers))
    if min(taken.prekeys_left, taken.kyber_prekeys_left) < PREKEYS_LOW:
        await services.prekeys_low(account_id)
    bundle = taken.bundle
    signed, prekey, kyber = bundle.signed_prekey, bundle.prekey, bundle.kyber_prekey
    return BundleOut(
        identity_key=bundle.identity_key,
        registration_id=bundle.registration_id,
        signed_prekey=SignedPrekey(id=signed.id, public_key=signed.public_key, signature=signed.signature),
        prekey=None if prekey is None else Prekey(id=prekey.id, public_key=prekey.public_key),
        kyber_prekey=KyberPrekey(id=kyber.id, public_key=kyber.public_key, signature=kyber.signature),
    )


def _access_key(headers: Headers) -> bytes:
    values = headers.getlist("Access-Key")
    try:
        key = from_b64(values[0]) if len(values) == 1 else b""
    except Malformed:
        key = b""
    if len(key) != ACCESS_KEY_BYTES:
        raise BadRequest(("Access-Key",))
    return key


async def is_up(_services: Services, _asked: Asked[None, None]) -> Health:
    """The process is up."""
    return Health(status="up")


async def is_ready(services: Services, _asked: Asked[None, None]) -> Health:
    """The database answers."""
    await services.database.fetchval(sql.DATABASE_ANSWERS)
    return Health(status="ready")


CALLS: Final = (
    Call(method="GET", path="/v1/relay", lane=Lane.ANONYMOUS, does=tell, response=RelayInfo),
    Call(
        method="POST",
        path="/v1/prekeys/{account_id}/take",
        lane=Lane.ANONYMOUS,
        does=take,
        response=BundleOut,
        errors=(NoAccess,),
        header_bytes={"Access-Key": ACCESS_KEY_BYTES},
    ),
    Call(method="GET", path="/healthz", lane=Lane.ANONYMOUS, does=is_up, response=Health),
    Call(method="GET", path="/readyz", lane=Lane.ANONYMOUS, does=is_ready, response=Health),
)


def blueprint(services: Callable[[], Services]) -> Blueprint:
    return blueprint_of("anonymous", CALLS, services)
