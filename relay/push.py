"""Push: where to knock when somebody has mail and is not connected. Subscriptions are encrypted at rest; a push says nothing but "look".

An endpoint names a device at a push service, so a stolen database would tie an account to it. It is sealed with a key that lies in a
file, apart from the database, and padded, so that its length does not tell which service it is.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from relay.database import Database
from relay.errors import BadEndpoint, BadRequest, Unauthorized, Unavailable
from relay.frames import from_b64, to_b64
from relay.outbound import MOST_URL_LENGTH, Outbound, OutboundFailed, OutboundRefused
from relay.queries import push as sql
from relay.records import PushOutcome, PushTarget
from relay.web_push import Keys, Vapid, encrypt, is_public_key

log = logging.getLogger("relay.push")

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
SEALED_PLAIN_BYTES: Final = 2 * MOST_URL_LENGTH
"""JSON of the longest endpoint and its keys fits."""

NOTHING: Final = bytes(16)
"""What a push says. The same for all, so that its size tells nothing either."""
PUSH_TTL_S: Final = 7 * 86400
"""How long a push service keeps it for a phone that is off."""


class Subscription(NamedTuple):
    """What an app brings: endpoint (an https URL) and keys (RFC 8291 section 2)."""

    endpoint: str
    keys: Keys


class SubscriptionBox:
    """Seals subscriptions for the database: ChaCha20-Poly1305 (RFC 8439), a random nonce, bound to the account."""

    def __init__(self, key: bytes) -> None:
        self._aead = ChaCha20Poly1305(key)

    def seal(self, account_id: UUID, subscription: Subscription) -> bytes:
        """Always of the same length."""
        written = {
            "endpoint": subscription.endpoint,
            "p256dh": to_b64(subscription.keys.p256dh),
            "auth": to_b64(subscription.keys.auth),
        }
        plain = json.dumps(written, ensure_ascii=False).encode().ljust(SEALED_PLAIN_BYTES)
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plain, account_id.bytes)

    def open(self, account_id: UUID, sealed: bytes) -> Subscription | None:
        """None when it was sealed under another key or for another account."""
        try:
            plain = self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], account_id.bytes)
        except InvalidTag:
            return None
        read = json.loads(plain)
        return Subscription(read["endpoint"], Keys(from_b64(read["p256dh"]), from_b64(read["auth"])))


class Push:
    """Subscriptions in PostgreSQL, and the way to their endpoints. Satisfies nursery_tasks.ports.PushService."""

    def __init__(self, database: Database, box: SubscriptionBox, outbound: Outbound, vapid: Vapid) -> None:
        self._database = database
        self._box = box
        self._outbound = outbound
        self._vapid = vapid

    @property
    def public_key(self) -> bytes:
        """Of VAPID, 65 bytes."""
        return self._vapid.public_key

    async def subscribe(self, account_id: UUID, subscription: Subscription) -> None:
        """Replaces the account's subscription. The endpoint is resolved, and not asked.

        Raises:
            BadEndpoint: it is not one that the relay would ask.
            BadRequest: p256dh is not a point of the curve.
            Unauthorized: the account is gone.
            Unavailable: the name cannot be resolved now.
            DatabaseUnavailable
        """
        if not is_public_key(subscription.keys.p256dh):
            raise BadRequest(("p256dh",))
        try:
            await self._outbound.check(subscription.endpoint)
        except OutboundRefused:
            raise BadEndpoint from None
        except OutboundFailed:
            raise Unavailable(retry_after_s=60) from None
        sealed = self._box.seal(account_id, subscription)
        if await self._database.fetchval(sql.SUBSCRIBE, account_id, sealed) is None:
            raise Unauthorized

    async def unsubscribe(self, account_id: UUID) -> None:
        """Forgets the account's subscription, if there is one. Raises DatabaseUnavailable."""
        await self._database.execute(sql.UNSUBSCRIBE, account_id)

    async def waiting(self, account_ids: Collection[UUID]) -> Sequence[PushTarget]:
        """Of these accounts, those that have a subscription and something that waits. Raises DatabaseUnavailable."""
        rows = await self._database.fetch(sql.WAITING, list(account_ids))
        return [PushTarget(row["account_id"], row["sealed"]) for row in rows]

    async def forget(self, target: PushTarget) -> None:
        """Its endpoint is gone. Raises DatabaseUnavailable."""
        await self._database.execute(sql.FORGET, target.account_id, target.sealed)

    async def knock(self, target: PushTarget) -> PushOutcome:
        """Sends one push. The endpoint is judged again, since its name may lead elsewhere by now.

        Raises nothing for what a stranger's server does.
        """
        subscription = self._box.open(target.account_id, target.sealed)
        if subscription is None:
            return PushOutcome.GONE  # sealed under a key that is no more
        try:
            where = self._outbound.read(subscription.endpoint)
            reply = await self._outbound.post(where, self._headers(where.origin), encrypt(NOTHING, subscription.keys))
        except OutboundRefused as refused:
            log.warning("an endpoint is not asked any more: %s", refused)
            return PushOutcome.GONE
        except OutboundFailed as failed:
            log.info("a push service could not be reached: %s", failed)
            return PushOutcome.LATER
        if reply.status in (404, 410):
            return PushOutcome.GONE
        if 200 <= reply.status < 300:
            return PushOutcome.SENT
        log.info("a push service answered with %d", reply.status)
        return PushOutcome.LATER

    def _headers(self, origin: str) -> dict[str, str]:
        # RFC 8030 section 5. One topic: of several pushes for a phone that is off, the service keeps the last.
        return {
            "Authorization": self._vapid.authorization(origin),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(PUSH_TTL_S),
            "Urgency": "high",
            "Topic": "look",
        }
