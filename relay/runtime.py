"""What runs beside the requests for as long as a worker lives: the database, the batch writers, the listener, the sweeper.

One task owns all of it, in one nursery, opened inside out and closed outside in: sessions are told first, then what is being
committed gets its moment, then the tasks end, then the connections.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from hashlib import sha256
from uuid import UUID

import trio

from nursery_tasks import wakeup_listener as topics
from nursery_tasks.batch_writer import AckWriter, PostWriter
from nursery_tasks.dispatch import Dispatch
from nursery_tasks.lag_probe import LAG, LagProbe
from nursery_tasks.notifier import Notifier
from nursery_tasks.page_reader import PageReader
from nursery_tasks.push_sender import PushSender
from nursery_tasks.session import MailboxServices, PostServices, Timing
from nursery_tasks.session_opener import SessionOpener
from nursery_tasks.sibling_messages import MARK_BYTES
from nursery_tasks.siblings import Siblings
from nursery_tasks.sweeper import sweep
from nursery_tasks.wakeup_listener import Wakeups
from relay import readiness
from relay.collector import Hourly
from relay.config import Settings
from relay.database import Database
from relay.errors import Unavailable
from relay.held_connection import HeldConnection
from relay.limits import Gcra, RecipientRates
from relay.mailbox import PostgresMailbox
from relay.metrics import Exchange, MeasuredPush, MeasuredStore, Metrics
from relay.outbound import Outbound
from relay.partitions import SteadyClock, keep_partitions
from relay.push import Push, SubscriptionBox
from relay.queries import mailbox as queries
from relay.queries import operations as operations_sql
from relay.routes.sockets import SessionServices
from relay.secret_files import load_keys, load_metrics_token, load_push_keys, load_turn_secret
from relay.services import Services, identity_services, open_configured_database
from relay.sibling_sockets import SiblingSockets
from relay.signals import PostgresSignals
from relay.switchboard import Switchboard
from relay.turn import TurnCredentials
from relay.web_push import Vapid, make_private_key

log = logging.getLogger("relay")

_Drain = Callable[[], Awaitable[None]]

COMMIT_GRACE_S = 0.05
"""How long a batch that is being committed may hold the goodbye up, so that its `posted` still goes out; 1012 is due within 100 ms."""


ACKS_EVERY_S = 0.02
"""Between two deletes of what was acknowledged, of all processes of this machine together: each of them costs as much as a post's commit."""
MOST_SHARE = 5
"""No process deletes less often than that many times this: what was not deleted when it dies comes again."""


class PostgresNotifications:
    """NOTIFY on a connection of its own (nursery_tasks.ports.Notifications)."""

    def __init__(self, held: HeldConnection) -> None:
        self._held = held

    async def notify(self, topic: str, account_ids: Sequence[UUID]) -> None:
        await self._held.execute(queries.NOTIFY, topic, ",".join(map(str, account_ids)))

    async def say(self, topic: str, payload: str) -> None:
        """What is about no account."""
        await self._held.execute(queries.NOTIFY, topic, payload)


class Runtime:
    """The relay of one worker process. `services` and `sessions` answer while it runs."""

    def __init__(self, settings: Settings, draining: trio.Event) -> None:
        self._settings = settings
        self._draining = draining
        self._stop = trio.Event()
        self._stopped = trio.Event()
        self._services: Services | None = None
        self._sessions: SessionServices | None = None
        self._observed: tuple[str, Exchange] | None = None

    def metrics_token(self) -> str:
        """What a scraper must show. Raises `Unavailable` as `services` does."""
        return self._observation()[0]

    async def metrics_text(self) -> bytes:
        """The numbers of all workers here. Raises `Unavailable` as `services` does."""
        return await self._observation()[1].everybody()

    def _observation(self) -> tuple[str, Exchange]:
        if self._observed is None:
            raise Unavailable(retry_after_s=1)
        return self._observed

    def services(self) -> Services:
        """Raises `Unavailable` before `run` has started and after it ended."""
        if self._services is None:
            raise Unavailable(retry_after_s=1)
        return self._services

    def sessions(self) -> SessionServices:
        """Raises `Unavailable` before `run` has started, after it ended, and while draining."""
        if self._sessions is None or self._draining.is_set():
            raise Unavailable(retry_after_s=1)
        return self._sessions

    async def stop(self) -> None:
        """Ends `run` and waits for it."""
        self._stop.set()
        await self._stopped.wait()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Opens everything, reports started, drains when told to, closes everything after `stop`.

        Raises:
            EmbeddedPostgresError, SchemaMismatch, SecretFileError, DatabaseUnavailable: it could not start.
        """
        try:
            async with (
                open_configured_database(self._settings) as database,
                PostgresMailbox.open(self._settings, database) as mailbox,
                PostgresSignals.open(database) as signals,
                database.hold() as notifying,
                self._wired(database, mailbox, signals, notifying) as drain,
            ):
                task_status.started()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._drain_when_told, drain)
                    await self._stop.wait()
                    nursery.cancel_scope.cancel()
                self._services = self._sessions = None
        finally:
            self._services = self._sessions = self._observed = None
            self._stopped.set()

    async def _drain_when_told(self, drain: _Drain) -> None:
        await self._draining.wait()
        await drain()

    @asynccontextmanager
    async def _wired(
        self, database: Database, mailbox: PostgresMailbox, signals: PostgresSignals, notifying: HeldConnection
    ) -> AsyncIterator[_Drain]:
        settings = self._settings
        keep = partial(_keep_partitions, database, settings.envelope_ttl_s, SteadyClock())
        await keep()

        notifications = PostgresNotifications(notifying)
        notifier = Notifier(notifications)
        metrics = Metrics()
        lag = LagProbe(partial(notifications.say, LAG), metrics.notified)

        push = _push(settings, database)
        push_sender = PushSender(MeasuredPush(push, metrics)) if push is not None else None

        def knock_for(account_id: UUID) -> None:
            if push_sender is not None:
                push_sender.tell(account_id)

        def session_left(account_id: UUID) -> None:
            dispatch.session_left(account_id)

        def session_came(account_id: UUID, epoch: int) -> None:
            siblings.came(account_id, epoch)

        switchboard = Switchboard(session_left, session_came)

        def share_deletes(siblings: int) -> None:
            for acks in (mail_acks, signal_acks):
                acks.pace_s = ACKS_EVERY_S * min(1 + siblings, MOST_SHARE)

        siblings = Siblings(switchboard, notifier.tell, knock_for, _mark(settings), share_deletes)
        sibling_sockets = SiblingSockets(settings.var_directory / "siblings", siblings)
        dispatch = Dispatch(switchboard, notifier.tell, knock_for, siblings)
        wakeups = Wakeups(switchboard, mailbox)

        async def keys_run_low(account_id: UUID) -> None:
            dispatch.something_to_tell(account_id)

        async def account_ended(account_id: UUID) -> None:
            wakeups.check([account_id])
            notifier.tell(topics.SESSIONS, account_id)

        writer = partial(PostWriter, batch_items=settings.batch_posts, waiting_items=settings.waiting_posts)
        mail_writer = writer(
            MeasuredStore(mailbox, "mail", metrics), self._rates(),
            dispatch.mail.stored, dispatch.mail.again, dispatch.something_to_tell,
            on_committed=dispatch.mail.committed, more_comes=readiness.more_comes,
        )  # fmt: skip
        signal_writer = writer(
            MeasuredStore(signals, "signals", metrics), self._rates(),
            dispatch.signals.stored, dispatch.signals.again, dispatch.something_to_tell,
            on_committed=dispatch.signals.committed,
        )  # fmt: skip
        metrics.watch("waiting", "mail", lambda: mail_writer.waiting)
        metrics.watch("waiting", "signals", lambda: signal_writer.waiting)
        metrics.watch("sessions", "mailbox", lambda: switchboard.mailbox_sessions)
        metrics.watch("sessions", "post", lambda: switchboard.post_sessions)
        exchange = Exchange(settings.var_directory / "metrics", metrics)
        mail_acks, signal_acks = AckWriter(mailbox, pace_s=ACKS_EVERY_S), AckWriter(signals, pace_s=ACKS_EVERY_S)
        mail_pages = PageReader(mailbox)
        opener = SessionOpener(mailbox)
        keys = load_keys(settings.secrets_directory)
        self._services = replace(
            identity_services(settings, database, keys, wall_clock=time.time),
            prekeys_low=keys_run_low,
            account_ended=account_ended,
            turn=_turn(settings),
            push=push,
        )
        self._sessions = SessionServices(
            MailboxServices(
                mailbox,
                opener,
                mail_pages,
                signals,
                mail_acks,
                signal_acks,
                switchboard,
                partial(notifier.tell, topics.SESSIONS),
                time.time,
            ),
            PostServices(mail_writer, signal_writer, switchboard, time.time),
            switchboard,
            _timing(settings),
            settings.max_sessions,
        )

        def notified(topic: str, payload: str) -> None:
            if topic == LAG:
                lag.heard(payload)
            else:
                wakeups.notified(topic, payload)

        async def count_mail() -> None:
            metrics.mail_waits(await database.fetchval(operations_sql.ABOUT_WAITING))

        async def drain() -> None:
            with trio.move_on_after(COMMIT_GRACE_S):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(mail_writer.drain)
                    nursery.start_soon(signal_writer.drain)
            switchboard.drain()

        async with trio.open_nursery() as nursery:
            for run in (
                mail_writer.run,
                signal_writer.run,
                mail_acks.run,
                signal_acks.run,
                mail_pages.run,
                opener.run,
                notifier.run,
                wakeups.check_epochs,
                wakeups.look_around,
            ):
                await nursery.start(run)
            await nursery.start(database.listen, (*topics.TOPICS, LAG), notified, wakeups.gap)
            notifier.tell(topics.STARTED, topics.NOBODY)
            await nursery.start(lag.run)
            await nursery.start(sibling_sockets.run)
            await nursery.start(exchange.run)
            self._observed = (load_metrics_token(settings.secrets_directory), exchange)
            chores = (
                signals.sweep,
                self._services.invites.forget_expired,
                self._services.accounts.sweep_ended,
                self._services.limits.forget_full,
                self._services.recovery.forget_tries,
                count_mail,
                keep,
                Hourly(),
            )
            if push_sender is not None:
                await nursery.start(push_sender.run)
            nursery.start_soon(sweep, chores)
            yield drain
            # Sessions are gone by now. Their last acknowledgements are worth a moment: each one that is lost is a redelivery.
            with trio.move_on_after(settings.drain_grace_s / 4):
                await mail_acks.idle()
            nursery.cancel_scope.cancel()

    def _rates(self) -> RecipientRates:
        settings = self._settings
        return RecipientRates(
            Gcra(settings.posts_burst, settings.posts_per_s, time.monotonic),
            Gcra(settings.post_bytes_burst, settings.post_bytes_per_s, time.monotonic),
        )


def _mark(settings: Settings) -> bytes:
    """Which database it is, for siblings to compare: processes that share a directory may have different ones."""
    return sha256((settings.database_url or "").encode()).digest()[:MARK_BYTES]


def _push(settings: Settings, database: Database) -> Push | None:
    if not settings.push:
        return None
    push_key, vapid_key = load_push_keys(settings.secrets_directory, make_private_key)
    vapid = Vapid(vapid_key, settings.public_url, wall_clock=time.time)
    return Push(database, SubscriptionBox(push_key), Outbound(settings.push_hosts), vapid)


def _turn(settings: Settings) -> TurnCredentials | None:
    if not settings.turn_servers:
        return None
    return TurnCredentials(
        load_turn_secret(settings.secrets_directory),
        settings.turn_servers,
        ttl_s=settings.turn_ttl_s,
        burst=settings.turn_mints_burst,
        per_day=settings.turn_mints_per_day,
        wall_clock=time.time,
    )


async def _keep_partitions(database: Database, ttl_s: int, clock: SteadyClock) -> None:
    await keep_partitions(database, int(time.time()), ttl_s, drop=clock.is_steady())


def _timing(settings: Settings) -> Timing:
    return Timing(
        ping_every_s=settings.ping_every_s,
        answer_within_s=settings.answer_within_s,
        first_frame_within_s=settings.first_frame_within_s,
        goodbye_within_s=settings.goodbye_within_s,
        in_flight_envelopes=settings.in_flight_envelopes,
        in_flight_bytes=settings.in_flight_bytes,
        posts_per_s=settings.session_posts_per_s,
    )
