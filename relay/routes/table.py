"""All HTTP calls in one table, and their blueprints. The sockets are in relay/routes/sockets.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from quart import Blueprint

from relay.routes import account, anonymous, discovery, keys, push, turn
from relay.services import Services

CALLS: Final = (*account.CALLS, *keys.CALLS, *discovery.CALLS, *turn.CALLS, *push.CALLS, *anonymous.CALLS)


def http_blueprints(services: Callable[[], Services]) -> list[Blueprint]:
    """Everything but the sockets, for an app that went through prepare_app."""
    return [module.blueprint(services) for module in (account, keys, discovery, turn, push, anonymous)]
