"""Services on a fresh database, an app that serves them, and a member."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from quart_trio import QuartTrio

from relay.config import Settings
from relay.database import Database
from relay.frames import to_b64
from relay.routes.http import prepare_app
from relay.routes.table import http_blueprints
from relay.secret_files import RelayKeys
from relay.sender_certificates import server_certificate
from relay.services import Services, identity_services
from relay.xeddsa_signatures import make_private_key, public_key_of
from tests.identity.members import Clock, Member


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def relay_keys() -> RelayKeys:
    trust_root, server_key = make_private_key(), make_private_key()
    certificate = server_certificate(public_key_of(server_key), trust_root)
    return RelayKeys(public_key_of(trust_root), server_key, certificate, secrets.token_bytes(32))


@pytest.fixture
def settings() -> Settings:
    return Settings(public_url="https://relay.example")


@pytest.fixture
async def services(database: Database, settings: Settings, relay_keys: RelayKeys, clock: Clock) -> Services:
    return identity_services(settings, database, relay_keys, wall_clock=clock)


@pytest.fixture
async def invite_code(services: Services) -> str:
    """The code of a one-use invite, valid for an hour."""
    return (await services.invites.mint(ttl_s=3600))[0].code


@pytest.fixture
async def member(services: Services, invite_code: str) -> Member:
    """Registered, with three one-time keys of each kind."""
    member = Member()
    member.account_id = await services.accounts.register(invite_code, member.registration())
    return member


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: dict[str, str]
    raw: bytes
    json: Any

    @property
    def code(self) -> str:
        return str(self.json["code"])


class Http:
    """Asks the app as an HTTP client would, without a network."""

    def __init__(self, app: QuartTrio) -> None:
        self._client = app.test_client()

    async def __call__(self, method: str, path: str, *, auth: str | None = None, **options: Any) -> Answer:
        headers = dict(options.pop("headers", {}))
        if auth is not None:
            headers["Authorization"] = auth
        response: Any = await self._client.open(path, method=method, headers=headers, **options)
        raw = await response.get_data()
        is_json = "json" in response.headers.get("content-type", "")
        lower = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, lower, raw, await response.get_json(force=True) if is_json else None)

    async def take(self, account_id: UUID | None, access_key: bytes) -> Answer:
        return await self("POST", f"/v1/prekeys/{account_id}/take", headers={"Access-Key": to_b64(access_key)})


def serve(services: Services) -> Http:
    app = QuartTrio("relay")
    prepare_app(app)
    for blueprint in http_blueprints(lambda: services):
        app.register_blueprint(blueprint)
    return Http(app)


@pytest.fixture
def http(services: Services) -> Http:
    return serve(services)
