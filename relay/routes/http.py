"""How an HTTP call is described, and everything that is the same for all of them.

A call is one `Call` in a table (`CALLS` of each module here): method, path, lane, models, errors. `blueprint_of` turns a table into a
Quart blueprint, so what the table says is what happens, and what is printed from it (OpenAPI, the test of docs/protocol.md) is true.

The order of checks is fixed: lane, origin, who is asking, and only then the body, so nobody who may not ask makes the relay read and
parse 256 KiB (4 ms). A recovery is the exception, since its body says who is asking. Errors leave as problem documents (RFC 9457). Nothing of
a request is ever logged but the table's own method and path.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

import trio
from pydantic import BaseModel, ConfigDict, ValidationError
from quart import Blueprint, Response, request
from quart_trio import QuartTrio
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

from relay.errors import (
    BadInvite,
    BadRecovery,
    BadRequest,
    ForeignOrigin,
    IdentifiedOnAnonymousLane,
    MethodNotAllowed,
    NoAccess,
    NotFound,
    RateLimited,
    RelayError,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from relay.log_lines import describe
from relay.routes.identification import (
    authenticate_bearer,
    authenticate_either,
    authenticate_invite,
    check_origin,
    refuse_identified,
)
from relay.services import Services

log = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 256 * 1024
"""The largest body that any call takes: a registration with 100 one-time keys of each kind has 235 KiB."""
BODY_WITHIN_S: Final = 60
"""How long a body may take to arrive; a registration needs 40 s at 50 kbit/s."""
RETRY_AFTER_S: Final = {429: 60, 503: 5}
# RFC 9110 section 11.6.1 asks for a challenge with every 401.
_RENAMED: Final = {413: "Content Too Large", 422: "Unprocessable Content"}
CHALLENGES: Final[dict[str, str]] = {
    Unauthorized.code: "Bearer",
    BadInvite.code: "Invite",
    BadRecovery.code: "Recovery-Code",
    NoAccess.code: "Access-Key",
}
_MAX_FIELDS, _MAX_FIELD_LENGTH = 10, 64

Caller = TypeVar("Caller")
Body = TypeVar("Body")


class Message(BaseModel):
    """Base of all bodies: frozen, unknown fields refused, numbers not taken from strings."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Lane(Enum):
    """Who may ask (docs/protocol.md, section Two lanes)."""

    BEARER = "bearer"
    INVITE = "invite"
    BEARER_OR_INVITE = "bearer or invite"
    NO_LOGIN = "none"
    """Identified by its body; an Authorization header is a mistake."""
    ANONYMOUS = "anonymous"


@dataclass(frozen=True)
class Asked(Generic[Caller, Body]):
    """One request, checked and parsed."""

    caller: Caller
    """The account (BEARER), the code of an invite that can be spent or was (INVITE), either (BEARER_OR_INVITE), else None."""
    body: Body
    """An instance of the call's request model; None if it has none."""
    path: Mapping[str, UUID]
    """Ids in the path."""
    headers: Headers


@dataclass(frozen=True, kw_only=True)
class Call:
    """One row of the route table. The docstring of `does` describes the call."""

    method: str
    path: str
    """As in docs/protocol.md; ids stand in braces."""
    lane: Lane
    does: Callable[[Services, Asked[Any, Any]], Awaitable[BaseModel | None]]
    request: type[BaseModel] | None = None
    response: type[BaseModel] | None = None
    status: HTTPStatus = HTTPStatus.OK
    errors: tuple[type[RelayError], ...] = ()
    """Besides those that its lane and body bring along."""
    max_body_bytes: int = 0
    header_bytes: Mapping[str, int] = field(default_factory=dict)
    """Headers that the call asks for: base64url of so many bytes."""

    @property
    def all_errors(self) -> tuple[type[RelayError], ...]:
        """Every error that the call may answer with."""
        of_lane: dict[Lane, tuple[type[RelayError], ...]] = {
            Lane.BEARER: (Unauthorized,),
            Lane.INVITE: (Unauthorized, BadInvite),
            Lane.BEARER_OR_INVITE: (Unauthorized, BadInvite),
            Lane.NO_LOGIN: (),
            Lane.ANONYMOUS: (IdentifiedOnAnonymousLane,),
        }
        of_all = (BadRequest, ForeignOrigin, TooLarge, RateLimited, Unavailable, RelayError)
        of_path = (NotFound,) if "{" in self.path else ()  # what stands for an id is none
        return tuple(dict.fromkeys((*of_lane[self.lane], *self.errors, *of_path, *of_all)))


def blueprint_of(name: str, calls: Sequence[Call], services: Callable[[], Services]) -> Blueprint:
    """A blueprint that serves `calls`. `services` is asked at each request, since they are opened after the app is built."""
    blueprint = Blueprint(name, __name__)
    for call in calls:
        blueprint.add_url_rule(
            call.path.replace("{", "<uuid:").replace("}", ">"),
            endpoint=f"{call.method} {call.path}",
            view_func=_view(call, services),
            methods=[call.method],
            provide_automatic_options=False,  # no browser page of another site has anything to ask here
        )
    return blueprint


def _view(call: Call, services: Callable[[], Services]) -> Callable[..., Awaitable[Response]]:
    async def view(**path: UUID) -> Response:
        try:
            return await _serve(call, services(), path)
        except HTTPException as error:
            return problem(_of_http_exception(error))
        except Exception as error:  # whatever it is, its message may quote what nobody should read
            return problem(_told(error, call))

    return view


def reason_phrase(status: int) -> str:
    """As RFC 9110 section 15 has it, whatever the Python: before 3.13 it had older words for two of them."""
    return _RENAMED.get(status) or HTTPStatus(status).phrase


def _told(error: Exception, call: Call) -> RelayError:
    """What a caller gets to know of it. Not a variable of the frame that caught it, which the error's traceback has: they would refer to each
    other, with the whole request between them, until a collector comes by.
    """
    ours = error if isinstance(error, RelayError) else RelayError()
    if ours.status == RelayError.status:
        log.error("%s %s: %s", call.method, call.path, describe(error))
    return ours


async def _serve(call: Call, services: Services, path: Mapping[str, UUID]) -> Response:
    headers = request.headers
    if call.lane is Lane.ANONYMOUS:
        refuse_identified(headers)
    check_origin(headers, services.settings)
    caller: UUID | str | None = None
    if call.lane is Lane.BEARER:
        caller = await authenticate_bearer(_only(headers, "Authorization"), services)
    elif call.lane is Lane.INVITE:
        caller = await authenticate_invite(_only(headers, "Authorization"), services)
    elif call.lane is Lane.BEARER_OR_INVITE:
        caller = await authenticate_either(_only(headers, "Authorization"), services)
    elif call.lane is Lane.NO_LOGIN and "Authorization" in headers:
        raise BadRequest(("Authorization",))
    raw = await _read_body(call.max_body_bytes)
    body = None if call.request is None else _parse(call.request, raw)
    answer = await call.does(services, Asked(caller, body, path, headers))
    if answer is None:
        return _respond(call.status, b"", None)
    return _respond(call.status, answer.model_dump_json().encode(), "application/json")


def _only(headers: Headers, name: str) -> str | None:
    """The header's value if it came exactly once: of two, who knows which a proxy before us looked at."""
    values = headers.getlist(name)
    return values[0] if len(values) == 1 else None


async def _read_body(max_bytes: int) -> bytes:
    """The whole body.

    Raises:
        TooLarge: more than `max_bytes` are announced, or come.
        BadRequest: it did not come within BODY_WITHIN_S.
    """
    if (request.content_length or 0) > max_bytes:
        raise TooLarge
    body = bytearray()
    with trio.move_on_after(BODY_WITHIN_S) as patience:
        async for chunk in request.body:
            body += chunk
            if len(body) > max_bytes:
                raise TooLarge
    if patience.cancelled_caught:
        raise BadRequest(("body",))
    return bytes(body)


def _parse(model: type[BaseModel], raw: bytes) -> BaseModel:
    if request.mimetype != "application/json":
        raise BadRequest(("Content-Type",))
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        places = [
            ".".join(map(str, one["loc"])) or "body" for one in error.errors(include_url=False, include_input=False)
        ]
    except ValueError:  # before validation: not UTF-8, lone surrogates
        places = ["body"]
    fields = tuple(place[:_MAX_FIELD_LENGTH] for place in dict.fromkeys(places))
    raise BadRequest(fields[:_MAX_FIELDS])


# -- answers ---------------------------------------------------------------------------------------------------------


def _respond(status: int, body: bytes, content_type: str | None, headers: Mapping[str, str] | None = None) -> Response:
    response = Response(body, status=status, content_type=content_type)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if content_type is None:
        del response.headers["Content-Type"]
    response.headers.update(headers or {})
    return response


def problem(error: RelayError, *, allow: Sequence[str] = ()) -> Response:
    """The problem document (RFC 9457) of an error. `allow`: the methods for a 405 (RFC 9110 section 10.2.1)."""
    # Errors of our own making (status 500) look alike from outside, whatever they are called inside.
    code, detail = (
        (error.code, error.detail) if error.status != RelayError.status else (RelayError.code, RelayError.detail)
    )
    document: dict[str, Any] = {
        "title": reason_phrase(error.status),
        "status": error.status,
        "code": code,
        "detail": detail,
    }
    if isinstance(error, BadRequest):
        document["fields"] = list(error.fields)
    headers: dict[str, str] = {}
    if code in CHALLENGES:
        headers["WWW-Authenticate"] = CHALLENGES[code]
    if error.status in RETRY_AFTER_S:
        headers["Retry-After"] = str(error.retry_after_s or RETRY_AFTER_S[error.status])
    if allow:
        headers["Allow"] = ", ".join(sorted(allow))
    return _respond(error.status, json.dumps(document).encode(), "application/problem+json", headers)


def prepare_app(app: QuartTrio) -> None:
    """What the app itself must be told; call it before any blueprint is registered."""
    # Quart buffers a body as it comes, whether or not anybody reads it.
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    # A path with two slashes is not found, rather than redirected by a page of HTML.
    app.url_map.merge_slashes = False
    app.register_error_handler(HTTPException, _on_http_exception)
    app.register_error_handler(Exception, problem_of)


def _on_http_exception(error: HTTPException) -> Response:
    return problem(_of_http_exception(error), allow=getattr(error, "valid_methods", None) or ())


def problem_of(error: Exception) -> Response:
    """The answer to what is raised outside of a Call (by sockets before they are accepted, by Quart itself)."""
    if isinstance(error, RelayError) and error.status != RelayError.status:
        return problem(error)
    log.error("outside of a call: %s", describe(error))
    return problem(RelayError())


def _of_http_exception(error: HTTPException) -> RelayError:
    known: dict[int, type[RelayError]] = {404: NotFound, 405: MethodNotAllowed, 413: TooLarge}
    status = error.code or 500
    if status in known:
        return known[status]()
    return BadRequest(("request",)) if 400 <= status < 500 else RelayError()
