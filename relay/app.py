"""`app`: what `hypercorn -k trio relay.app:app` serves. Everything is wired here, once.

The edge is installed on import: Hypercorn loads the app before it opens a listener.
"""

from __future__ import annotations

import logging
import os
from typing import NoReturn

from quart import request

from relay import collector
from relay.config import ConfigError, Settings, load_settings
from relay.direct_websocket import SocketsPastQuart
from relay.edge import EdgeSettings, install
from relay.embedded_postgres import EmbeddedPostgresError
from relay.errors import BadRequest, DatabaseUnavailable, SchemaMismatch
from relay.frames import MAX_INBOUND_BYTES
from relay.log_lines import configure_logging
from relay.routes.http import prepare_app
from relay.routes.join import join_routes
from relay.routes.metrics import metrics_routes
from relay.routes.sockets import no_such_socket, socket_routes
from relay.routes.table import http_blueprints
from relay.runtime import Runtime
from relay.secret_files import SecretFileError

log = logging.getLogger("relay")


def create_app(settings: Settings) -> SocketsPastQuart:
    """The app and its runtime. In one process there can be several, but they share one edge and so its settings."""
    edge = install(
        EdgeSettings(
            write_deadline_s=settings.write_deadline_s,
            max_message_bytes=MAX_INBOUND_BYTES,
            drain_grace_s=settings.drain_grace_s,
        )
    )
    app = SocketsPastQuart(__name__, static_folder=None)
    runtime = Runtime(settings, edge.draining)
    prepare_app(app)
    for blueprint in http_blueprints(runtime.services):
        app.register_blueprint(blueprint)
    app.sockets = socket_routes(runtime.services, runtime.sessions, edge.arrivals.member_came)
    app.no_such_socket = no_such_socket

    @app.before_request
    async def refuse_calls_of_sockets() -> None:
        if request.path in app.sockets:
            raise BadRequest(("request",))

    app.register_blueprint(join_routes(settings.apk_file))
    app.register_blueprint(metrics_routes(runtime.metrics_token, runtime.metrics_text))

    @app.before_serving
    async def start() -> None:
        try:
            # A task of its own, since the driver's loop in it must be opened and closed in one task.
            await app.nursery.start(runtime.run)
        except (EmbeddedPostgresError, SecretFileError, SchemaMismatch, DatabaseUnavailable) as error:
            _refuse_to_start(error)
        collector.settle()

    @app.after_serving
    async def stop() -> None:
        await runtime.stop()

    return app


def _refuse_to_start(error: Exception) -> NoReturn:
    """Ends the worker with one line that says what to do. Everything that had been opened is closed by now.

    Raised instead, the error would reach the operator as pages of tracebacks, from Quart, Hypercorn and multiprocessing each.
    """
    why = (
        "the database does not answer; is database_url right?" if isinstance(error, DatabaseUnavailable) else str(error)
    )
    log.critical("cannot start: %s", why)
    os._exit(os.EX_CONFIG)


def _app_from_environment() -> SocketsPastQuart:
    try:
        settings = load_settings()
        configure_logging(settings.log_format)
        return create_app(settings)
    except ConfigError as error:
        raise SystemExit(f"relay: {error}") from None


app = _app_from_environment()
