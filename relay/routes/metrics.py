"""`/metrics` for Prometheus, behind a token of its own."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

from quart import Blueprint, Response, request

from relay.errors import RelayError, Unauthorized
from relay.metrics import CONTENT_TYPE
from relay.routes.http import problem


def metrics_routes(token: Callable[[], str], text: Callable[[], Awaitable[bytes]]) -> Blueprint:
    """The blueprint. `token` and `text` are asked at each request, and raise `Unavailable` while the relay starts or stops."""
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get("/metrics")
    async def metrics() -> Response:
        try:
            named = request.headers.getlist("Authorization")
            scheme, _, shown = (named[0] if len(named) == 1 else "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(shown.strip().encode(), token().encode()):
                raise Unauthorized
            response = Response(await text(), content_type=CONTENT_TYPE)
        except RelayError as error:
            return problem(error)
        response.headers["Cache-Control"] = "no-store"
        return response

    return blueprint
