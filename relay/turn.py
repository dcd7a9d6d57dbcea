"""TURN credentials, as coturn's `use-auth-secret` takes them: minted from a shared secret, so nobody keeps a list of who may call.

The user name is `expiry:random`. It holds no account, and its expiry is rounded up to the hour: with a precise one, whoever sees both
the TURN server and the requests to the relay could join a credential to the member it was minted for.
(draft-uberti-behave-turn-rest-00; coturn's README.turnserver, "TURN REST API".)
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable
from math import ceil
from typing import Final, NamedTuple

from relay.scarce_limits import Allowance

_ROUND_S: Final = 3600
_RANDOM_BYTES: Final = 12


class TurnCredential(NamedTuple):
    """`expires_at`: seconds since 1970; the server lets an allocation live past it, but makes no new one."""

    username: str
    password: str
    expires_at: int


def mint(secret: str, expires_at: int) -> TurnCredential:
    """A credential that coturn accepts until `expires_at`. `secret` is its static-auth-secret."""
    username = f"{expires_at}:{secrets.token_urlsafe(_RANDOM_BYTES)}"
    digest = hmac.digest(secret.encode(), username.encode(), "sha1")
    return TurnCredential(username, base64.b64encode(digest).decode(), expires_at)


class TurnCredentials:
    """Mints for members: at most `burst` at once and `per_day` in the long run, so that one member cannot hand out thousands.

    `urls` are `turn:` URIs (RFC 7065) as apps use them; `wall_clock` gives seconds since 1970.
    """

    def __init__(
        self,
        secret: str,
        urls: tuple[str, ...],
        *,
        ttl_s: int,
        burst: int,
        per_day: int,
        wall_clock: Callable[[], float],
    ) -> None:
        self.urls = urls
        self._secret = secret
        self._ttl_s = ttl_s
        self._wall_clock = wall_clock
        self.minting = Allowance("turn credentials", burst, 86400 / per_day)

    def issue(self) -> TurnCredential:
        """One credential, good for `ttl_s` and up to an hour more. Whoever calls it charges the account for it, by `minting`."""
        return mint(self._secret, ceil((self._wall_clock() + self._ttl_s) / _ROUND_S) * _ROUND_S)
