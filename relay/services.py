"""What the routes call: one frozen record, made once where the relay is wired together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from relay.accounts import Accounts
from relay.config import Settings
from relay.database import Database, DatabaseSettings, open_database
from relay.discovery import Discovery
from relay.embedded_postgres import private_postgres
from relay.invites import Invites, RegistrationPace
from relay.migrations import read_schema
from relay.oprf import NumberOprf
from relay.prekeys import Prekeys
from relay.push import Push
from relay.recovery import Recovery
from relay.scarce_limits import Allowance, ScarceLimits
from relay.schema import apply_schema
from relay.secret_files import RelayKeys
from relay.sender_certificates import SenderCertificates
from relay.turn import TurnCredentials


async def _nobody_listens(_account_id: UUID) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class Services:
    """Stores and hooks. The hooks are awaited after what they tell of is committed; they should be quick and must not raise."""

    settings: Settings
    database: Database
    accounts: Accounts
    recovery: Recovery
    prekeys: Prekeys
    invites: Invites
    certificates: SenderCertificates
    discovery: Discovery
    limits: ScarceLimits
    trust_root: bytes
    """Serialized public key, 33 bytes."""
    voprf_public_key: bytes
    """Of the oblivious function, 32 bytes."""
    wall_clock: Callable[[], float]
    """Seconds since 1970."""
    push: Push | None = None
    """None when the relay sends no pushes."""
    turn: TurnCredentials | None = None
    """None when the relay has no TURN server: no calls then."""
    prekeys_low: Callable[[UUID], Awaitable[None]] = _nobody_listens
    """Fewer than PREKEYS_LOW one-time keys of a kind are left to this account after a take."""
    account_ended: Callable[[UUID], Awaitable[None]] = _nobody_listens
    """This account was deleted or recovered: the live session of the old token ends as revoked."""


def identity_services(
    settings: Settings, database: Database, keys: RelayKeys, *, wall_clock: Callable[[], float]
) -> Services:
    """Services with the stores of accounts, keys and invites, and hooks that nobody listens to (dataclasses.replace sets them)."""
    invites = Invites(database, wall_clock=wall_clock)
    limits = ScarceLimits(database, wall_clock=wall_clock)
    oprf = NumberOprf(keys.oprf_seed)
    evaluations = Allowance("evaluations", settings.evaluations_burst, 86400 / settings.evaluations_per_day)
    return Services(
        settings=settings,
        database=database,
        accounts=Accounts(
            database,
            wall_clock=wall_clock,
            pace=RegistrationPace(settings.registrations_burst, 3600 / settings.registrations_per_hour),
        ),
        recovery=Recovery(
            database,
            wall_clock=wall_clock,
            burst=settings.recoveries_burst,
            per_hour=settings.recoveries_per_hour,
        ),
        prekeys=Prekeys(
            database,
            wall_clock=wall_clock,
            takes_burst=settings.takes_burst,
            takes_per_hour=settings.takes_per_hour,
        ),
        invites=invites,
        limits=limits,
        discovery=Discovery(database, oprf, limits, invites, evaluations),
        certificates=SenderCertificates(
            keys.server_key, keys.server_certificate, ttl_s=settings.certificate_ttl_s, wall_clock=wall_clock
        ),
        trust_root=keys.trust_root,
        voprf_public_key=oprf.public_key,
        wall_clock=wall_clock,
    )


@asynccontextmanager
async def open_configured_database(
    settings: Settings, *, as_it_is: bool = False, name: str = "sottovoce"
) -> AsyncIterator[Database]:
    """The database that the settings name, or the private one, with the schema in it. Enter and leave in one task (see open_database).

    `as_it_is` leaves the schema alone: for who looks at it. `name` is what PostgreSQL calls its connections.

    Raises:
        EmbeddedPostgresError: the private PostgreSQL cannot be run.
        SchemaMismatch: there is something else in the database.
        DatabaseUnavailable
    """
    async with AsyncExitStack() as stack:
        dsn = settings.database_url
        if dsn is None:
            dsn = await stack.enter_async_context(private_postgres(settings.var_directory / "postgres"))
        bounds = DatabaseSettings(
            application_name=name, pool_size=settings.pool_connections, command_timeout_s=settings.database_timeout_s
        )
        database = await stack.enter_async_context(open_database(dsn, settings=bounds))
        if not as_it_is:
            await apply_schema(database, read_schema())
        yield database
