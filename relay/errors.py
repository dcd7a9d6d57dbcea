"""Every error the relay speaks of, and the one table that maps them to what the other side sees.

An error is a type with data. Where it leaves the process it becomes an HTTP status with a stable code (RFC 9457), a WebSocket
close code, or a refusal code in a frame; those three columns stand in docs/protocol.md and a test compares them.
This module imports nothing of ours.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import ClassVar


class RelayError(Exception):
    """Base of everything the relay raises on purpose.

    `code` is the stable word of docs/protocol.md; `status` its HTTP status. `detail` is for people and never carries an
    account, a number, an address or a token.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    detail: ClassVar[str] = "Something went wrong inside the relay. Try again later."

    def __init__(self, *, retry_after_s: int | None = None) -> None:
        super().__init__(self.code)
        self.retry_after_s = retry_after_s


# -- what a request can get wrong ------------------------------------------------------------------------------------


class BadRequest(RelayError):
    """The body is not what docs/protocol.md says. `fields` names the places, never the values."""

    code = "bad_request"
    status = 400
    detail = "The request does not have the documented shape."

    def __init__(self, fields: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.fields = fields


class IdentifiedOnAnonymousLane(RelayError):
    """An Authorization header arrived where the relay must not know who is asking."""

    code = "identified_on_anonymous_lane"
    status = 400
    detail = "This call is anonymous: send it without an Authorization header, on a connection of its own."


class Unauthorized(RelayError):
    """No such token, or not the kind that this call takes. Says nothing about which."""

    code = "unauthorized"
    status = 401
    detail = "The token is missing or not valid."


class NoAccess(RelayError):
    """No such account, or the wrong access key: one answer for both, equal in body, length and time."""

    code = "no_access"
    status = 401
    detail = "There is no such account, or the access key does not open it."


class BadInvite(RelayError):
    """The invite code is unknown, used up or expired: one answer for all three."""

    code = "bad_invite"
    status = 401
    detail = "This invite is not valid, or it has been used up. Ask your operator for a new one."


class BadRecovery(RelayError):
    """No such account, or another recovery code: one answer for both, equal in body, length and time."""

    code = "bad_recovery"
    status = 401
    detail = "There is no such account, or the recovery code is not its own."


class ForeignOrigin(RelayError):
    """A browser page of another site tried to open a socket."""

    code = "foreign_origin"
    status = 403
    detail = "Only the relay's own pages may connect from a browser."


class NotFound(RelayError):
    code = "not_found"
    status = 404
    detail = "There is nothing at this address."


class NoTurn(RelayError):
    """This relay has no TURN server: calls are not offered here."""

    code = "no_turn"
    status = 404
    detail = "This relay offers no calls: its operator has not set up a TURN server."


class NoPush(RelayError):
    """This relay sends no pushes."""

    code = "no_push"
    status = 404
    detail = "This relay sends no pushes. Stay connected, or look now and then."


class MethodNotAllowed(RelayError):
    code = "method_not_allowed"
    status = 405
    detail = "This address does not take that method."


class NumberTaken(RelayError):
    """Another account is registered under the same phone token."""

    code = "number_taken"
    status = 409
    detail = "This number is already registered here. Recover the account, or ask your operator to release the number."


class TooManyPrekeys(RelayError):
    """The upload would make the relay hold more than 200 one-time keys of a kind; nothing of it was stored."""

    code = "too_many_prekeys"
    status = 409
    detail = "The relay holds at most 200 one-time prekeys of each kind. Upload fewer, or replace those that are left."


class TooLarge(RelayError):
    code = "too_large"
    status = 413
    detail = "The request body is larger than this call takes."


class BadSignature(RelayError):
    """A prekey's signature does not verify under the identity key that came with it."""

    code = "bad_signature"
    status = 422
    detail = "A prekey is not signed by the identity key."


class BadEndpoint(RelayError):
    """A push endpoint that the relay would not ask: not https, not a public address, or written in another way than the plain one."""

    code = "bad_endpoint"
    status = 422
    detail = "The relay sends pushes to https addresses of the public internet only. Ask your operator about a push service of your own."


class RateLimited(RelayError):
    code = "rate_limited"
    status = 429
    detail = "Too many of these in a short time. Try again later."


class Unavailable(RelayError):
    """The database does not answer, or the relay is about to stop."""

    code = "unavailable"
    status = 503
    detail = "The relay cannot do this right now. Try again later."


# -- what happens to a socket ----------------------------------------------------------------------------------------


class PeerGone(RelayError):
    """The other side of the socket is gone; nothing more can be said to it."""

    code = "peer_gone"


class SlowReader(RelayError):
    """A write did not finish within its deadline; half a frame may be out, so the connection was aborted."""

    code = "slow_reader"


class BadFrame(RelayError):
    """A WebSocket message that is not one of the documented frames of its direction."""

    code = "bad_frame"
    status = 400


# -- what happens to the database ------------------------------------------------------------------------------------


class DatabaseUnavailable(Unavailable):
    """PostgreSQL is not reachable, did not answer within the deadline, or lost the connection in the middle.

    For a write it means: the outcome is unknown. Callers retry with the same id, which is idempotent.
    """


class SchemaMismatch(RelayError):
    """The database's schema is not one that this code can work with. `next_step` is a clause that says what to do."""

    def __init__(
        self,
        found: str,
        wanted: str,
        next_step: str = "point it at an empty database, or run the relay version that made this one",
    ) -> None:
        super().__init__()
        self.found, self.wanted, self.next_step = found, wanted, next_step

    def __str__(self) -> str:
        return f"the database has schema {self.found}, this relay needs {self.wanted}; {self.next_step}"


class RelaysAreRunning(RelayError):
    """What is to be done to the database would break relays that have it open."""

    def __init__(self, connections: int) -> None:
        super().__init__()
        self.connections = connections

    def __str__(self) -> str:
        return (
            f"{self.connections} connections to the database are open, and relays behind them could not go on; "
            "stop every relay, then try again"
        )


# -- sessions: how they end, and how a post is refused ---------------------------------------------------------------


class Ending(Enum):
    """Every way out of a session: (name, WebSocket close code or None where no goodbye can be said)."""

    CLIENT_CLOSED = ("client_closed", None)
    PEER_GONE = ("peer_gone", None)
    SLOW_READER = ("slow_reader", None)
    DRAINING = ("draining", 1012)
    DATABASE_TROUBLE = ("database_trouble", 1011)
    INTERNAL = ("internal", 1011)
    BAD_FRAME = ("bad_frame", 4400)
    REVOKED = ("revoked", 4401)
    HEARTBEAT_LOST = ("heartbeat_lost", 4408)
    SUPERSEDED = ("superseded", 4409)
    TOO_MANY = ("too_many", 4429)

    def __init__(self, reason: str, close_code: int | None) -> None:
        self.reason = reason
        """The word that goes into the close frame and into the log."""
        self.close_code = close_code
        """RFC 6455 section 7.4 close code; None when the socket can no longer carry one."""


ENDING_OF: dict[type[RelayError], Ending] = {
    PeerGone: Ending.PEER_GONE,
    SlowReader: Ending.SLOW_READER,
    BadFrame: Ending.BAD_FRAME,
    DatabaseUnavailable: Ending.DATABASE_TROUBLE,
}
"""How a session ends when one of its tasks meets this error; anything else is INTERNAL."""


class Refusal(StrEnum):
    """Why a post was not taken: the `code` of a `refused` frame."""

    NO_ACCESS = "no_access"
    BAD_SIZE = "bad_size"
    CONFLICT = "conflict"
    MAILBOX_FULL = "mailbox_full"
    RATE_LIMITED = "rate_limited"
    CLOCK_SKEW = "clock_skew"
    UNAVAILABLE = "unavailable"
