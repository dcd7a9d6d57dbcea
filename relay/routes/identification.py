"""Who is asking: the rules of the two lanes, for HTTP calls and for sockets before they are accepted (docs/protocol.md)."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from werkzeug.datastructures import Headers

from relay.config import Settings
from relay.errors import ForeignOrigin, IdentifiedOnAnonymousLane, Unauthorized
from relay.frames import Malformed, from_b64
from relay.services import Services

_UUID_LENGTH: Final = 36
_SECRET_BYTES: Final = 32
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


async def authenticate_bearer(header_value: str | None, services: Services) -> UUID:
    """The account that `Authorization: Bearer <account_id>.<secret>` belongs to.

    Raises:
        Unauthorized: for whatever reason; an unknown account and a wrong secret take the same work.
        DatabaseUnavailable
    """
    claim = read_bearer(header_value)
    await services.accounts.authenticate(claim.account_id, claim.secret)
    return claim.account_id


class Claim(NamedTuple):
    """Who somebody says to be, and with what secret. Not checked."""

    account_id: UUID
    secret: bytes


def read_bearer(header_value: str | None) -> Claim:
    """What `Authorization: Bearer <account_id>.<secret>` claims.

    Raises:
        Unauthorized: it is none.
    """
    credentials = _credentials(header_value, "bearer")
    written_id, _, written_secret = credentials.partition(".")
    try:
        account_id, secret = UUID(written_id), from_b64(written_secret)
    except (ValueError, Malformed):
        raise Unauthorized from None
    # UUID() reads more spellings than the one on the wire.
    if len(written_id) != _UUID_LENGTH or str(account_id) != written_id or len(secret) != _SECRET_BYTES:
        raise Unauthorized
    return Claim(account_id, secret)


async def authenticate_invite(header_value: str | None, services: Services) -> str:
    """The code in `Authorization: Invite <code>`, if it can be spent or a registration under it be asked for again.

    Raises:
        Unauthorized: no such header.
        BadInvite: unknown, used up or expired.
        DatabaseUnavailable
    """
    code = _credentials(header_value, "invite")
    await services.invites.check(code)
    return code


async def authenticate_either(header_value: str | None, services: Services) -> UUID | str:
    """The account, or the code of the invite, whichever the header carries.

    Raises:
        Unauthorized, BadInvite, DatabaseUnavailable: as the two above.
    """
    if (header_value or "").partition(" ")[0].lower() == "invite":
        return await authenticate_invite(header_value, services)
    return await authenticate_bearer(header_value, services)


def refuse_identified(headers: Headers) -> None:
    """The rule of the anonymous lane, before anything else is looked at.

    Raises:
        IdentifiedOnAnonymousLane: there is an Authorization header, whatever is in it.
    """
    if "Authorization" in headers:
        raise IdentifiedOnAnonymousLane


def check_origin(headers: Headers, settings: Settings) -> None:
    """Lets through what is no browser, and the relay's own pages.

    React Native's WebSocket sends the origin of the URL it connects to, sometimes with a slash behind it.

    Raises:
        ForeignOrigin: an Origin header (RFC 6454) that is not that of `public_url`, "null" included.
    """
    own = _origin(settings.public_url)
    for written in headers.getlist("Origin"):
        if own is None or _origin(written) != own:
            raise ForeignOrigin


def _credentials(header_value: str | None, scheme: str) -> str:
    found, _, credentials = (header_value or "").partition(" ")
    if found.lower() != scheme or not credentials:  # schemes are case-insensitive (RFC 9110 section 11.1)
        raise Unauthorized
    return credentials.strip()


def _origin(url: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port (RFC 6454 section 4); None if there is no host in it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if not parts.scheme or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port or _DEFAULT_PORTS.get(parts.scheme)
