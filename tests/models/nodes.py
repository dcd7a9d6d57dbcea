"""Two relays without network and database: the real switchboards, dispatch, notifiers, listeners, batch writers and sessions on one mailbox in
memory, a bus of notifications that can be deaf, late or stutter, lines between the two that can be full, stuck or cut, and apps that write
everything down for the checker of tests/faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any
from uuid import UUID

import trio

from nursery_tasks import wakeup_listener as topics
from nursery_tasks.batch_writer import AckWriter, PostWriter
from nursery_tasks.dispatch import Dispatch
from nursery_tasks.notifier import Notifier
from nursery_tasks.page_reader import PageReader
from nursery_tasks.session import MailboxServices, Timing
from nursery_tasks.siblings import Siblings
from nursery_tasks.wakeup_listener import Wakeups
from relay.errors import DatabaseUnavailable, Ending, Refusal
from relay.frames import from_b64
from relay.records import AckBatch, BeginAsk, Begun, Outcome, Posting
from relay.switchboard import Switchboard
from tests.fakes import MemoryAccounts, MemoryMailbox, MemoryPeer, MemoryRates, MemorySignals, new_id
from tests.faults.history import Attempt, History
from tests.lines import MemoryLine, connect
from tests.sessions.stage import KEY, Opener, body, come_in, wall

TIMING = Timing(in_flight_envelopes=6, in_flight_bytes=20 * 1024)
"""A narrow window, so that lanes fall behind."""

ROOM = 100
"""Messages that a line takes before the other end has read any."""


class Mailbox(MemoryMailbox):
    """The mailbox of both nodes. Knows which session got the newest epoch of an account."""

    def __init__(self, accounts: MemoryAccounts) -> None:
        super().__init__(accounts, wall, envelopes=40)
        self.unheard = 0
        """So many commits from now on succeed, and their answers are lost."""
        self.begun: dict[UUID, list[trio.lowlevel.Task]] = {}
        """Tasks of sessions by account, in order of their epochs."""

    async def begin_sessions(self, asked: Sequence[BeginAsk]) -> list[Begun | None]:
        begun = await super().begin_sessions(asked)
        for ask in asked:
            self.begun.setdefault(ask.account_id, []).append(trio.lowlevel.current_task())
        return begun

    async def put(self, batch: Sequence[Posting]) -> list[Outcome]:
        outcomes = await super().put(batch)
        if self.unheard:
            self.unheard -= 1
            raise DatabaseUnavailable
        return outcomes


class Bus:
    """NOTIFY and LISTEN between the nodes, and what can become of it."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self.heard_by: dict[int, Callable[[str, str], None]] = {}
        self.deaf: set[int] = set()
        self.late_s: dict[int, float] = {}
        self.stutters = False
        self.down = False

    async def notify(self, topic: str, account_ids: Sequence[UUID]) -> None:
        await trio.lowlevel.checkpoint()
        if self.down:
            raise DatabaseUnavailable
        payload = ",".join(map(str, account_ids))
        for number in self.heard_by:
            for _ in range(2 if self.stutters else 1):
                self._nursery.start_soon(self._bring, number, topic, payload)

    async def _bring(self, number: int, topic: str, payload: str) -> None:
        await trio.sleep(self.late_s.get(number, 0.0))
        if number not in self.deaf and number in self.heard_by:
            self.heard_by[number](topic, payload)


class Node:
    """One relay process. `die` is kill -9."""

    def __init__(self, number: int, mailbox: Mailbox, signals: MemorySignals, bus: Bus) -> None:
        self.number = number
        self._bus = bus
        self._notifier = notifier = Notifier(bus)
        self.switchboard = Switchboard(
            lambda account_id: dispatch.session_left(account_id),  # noqa: PLW0108
            lambda account_id, epoch: self.siblings.came(account_id, epoch),  # noqa: PLW0108
        )
        self.siblings = Siblings(self.switchboard, notifier.tell, lambda _: None, b"the one database")
        dispatch = Dispatch(self.switchboard, notifier.tell, lambda _: None, self.siblings)
        self.wakeups = Wakeups(self.switchboard, mailbox)
        self.posts = PostWriter(
            mailbox,
            MemoryRates(),
            dispatch.mail.stored,
            dispatch.mail.again,
            dispatch.something_to_tell,
            on_committed=dispatch.mail.committed,
            batch_items=4,
        )
        acks, signal_acks = AckWriter(mailbox, batch_ids=8, pace_s=0), AckWriter(signals, pace_s=0)
        pages = PageReader(mailbox)
        self.services = MailboxServices(
            mailbox, Opener(mailbox), pages, signals, acks, signal_acks,
            self.switchboard, lambda id_: notifier.tell(topics.SESSIONS, id_), wall,
        )  # fmt: skip
        self._tasks = (
            self.posts.run, acks.run, signal_acks.run, pages.run, notifier.run, self.wakeups.check_epochs, self.siblings.run,
        )  # fmt: skip
        self._scope = trio.CancelScope()
        self.sessions: trio.Nursery | None = None

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery:
                for task in self._tasks:
                    await nursery.start(task)
                self.sessions = nursery
                self._bus.heard_by[self.number] = self.wakeups.notified
                self._notifier.tell(topics.STARTED, topics.NOBODY)
                task_status.started()
                await trio.sleep_forever()

    def die(self) -> None:
        self._bus.heard_by.pop(self.number, None)
        self._scope.cancel()


class Phone:
    """One session of an app: reads whatever comes, notes it, and acknowledges when it is told to."""

    def __init__(self, world: TwoNodes, account: int, node: Node, number: int) -> None:
        self._world, self.account, self.node, self.number = world, account, node, number
        self.peer = MemoryPeer()
        self.ending: Ending | None = None
        self.task: trio.lowlevel.Task | None = None
        self.over = False
        self.seen: list[UUID] = []
        self.acked: set[UUID] = set()

    async def serve(self) -> None:
        world = self._world
        self.task = trio.lowlevel.current_task()
        try:
            self.ending = await come_in(self.peer, world.ids[self.account], self.node.services, TIMING)
        finally:
            self.over = True
            self.peer.drop()

    async def read(self) -> None:
        history, name = self._world.history, f"m{self.account}"
        with suppress(trio.EndOfChannel, trio.ClosedResourceError):
            while True:
                frame = await self.peer.hear()
                if frame["type"] == "ping":
                    self._say({"type": "pong", "n": frame["n"]})
                for one in frame["envelopes"] if frame["type"] == "deliver" else ():
                    id_ = UUID(one["id"])
                    delivery = history.deliver(one["id"], name, from_b64(one["body"]), self.number, trio.current_time())
                    delivery.stored = True
                    self.seen.append(id_)
                    if id_ in self._world.settled and not self._world.lines_were_stuck:
                        self._world.charges.append(f"{id_} came again after its delete")

    def acknowledge(self, count: int) -> None:
        """The first `count` that it has seen and not acknowledged."""
        ids = [id_ for id_ in self.seen if id_ not in self.acked][:count]
        if not ids:
            return
        self.acked.update(ids)
        world = self._world
        if self.is_newest and not self.over:
            world.rightly_acked[self.account].update(ids)
        self._say({"type": "ack", "ids": [str(id_) for id_ in ids]})

    @property
    def is_newest(self) -> bool:
        """It has begun, and no other session of this account has begun since."""
        begun = self._world.mailbox.begun.get(self._world.ids[self.account])
        return bool(begun) and begun[-1] is self.task

    def _say(self, frame: dict[str, Any]) -> None:
        with suppress(trio.ClosedResourceError, trio.BrokenResourceError, trio.WouldBlock):
            self.peer.say(json.dumps(frame))


class Sender:
    """Notes the answers to what was posted through a node (nursery_tasks.ports.Poster)."""

    def __init__(self, attempts: dict[UUID, Attempt], world: TwoNodes) -> None:
        self._attempts, self._world = attempts, world

    def answered(self, answers: Sequence[tuple[Posting, Outcome]]) -> None:
        for posting, outcome in answers:
            attempt = self._attempts[posting.id]
            attempt.ended = self._world.tick()
            if outcome is Refusal.UNAVAILABLE:
                self._world.in_doubt.append((posting, attempt.node))
            else:
                attempt.outcome = "refused" if isinstance(outcome, Refusal) else "ok"


class TwoNodes:
    """Everything, and what must be true of it."""

    def __init__(self, nursery: trio.Nursery, accounts: int = 2) -> None:
        self._nursery = nursery
        self._lines: dict[int, MemoryLine] = {}
        self._room, self._stuck = ROOM, False
        self.lines_were_stuck = False
        self.accounts = MemoryAccounts()
        self.ids = [self.accounts.add(KEY) for _ in range(accounts)]
        self.mailbox = Mailbox(self.accounts)
        self.signals = MemorySignals(self.accounts, wall)
        self.bus = Bus(nursery)
        self.nodes: list[Node] = []
        self.phones: list[Phone] = []
        self.history = History()
        self.rightly_acked: list[set[UUID]] = [set() for _ in range(accounts)]
        self.settled: set[UUID] = set()
        self.in_doubt: list[tuple[Posting, int]] = []
        self.charges: list[str] = []
        self._ticks = 0

    async def start(self) -> None:
        for number in range(2):
            await self._start_node(number)

    async def _start_node(self, number: int) -> None:
        node = Node(number, self.mailbox, self.signals, self.bus)
        self.nodes[number:] = [node, *self.nodes[number + 1 :]]
        await self._nursery.start(node.run)
        for giver in range(len(self.nodes)):
            self.connect(giver)

    def tick(self) -> float:
        """A time for the history: later than all before, since much happens at one moment of the mock clock."""
        self._ticks += 1
        return trio.current_time() + self._ticks * 1e-6

    def phones_of(self, account: int) -> list[Phone]:
        return [phone for phone in self.phones if phone.account == account]

    # -- what happens --

    def post(self, node: int, account: int, count: int) -> None:
        made = [
            Posting(
                self.ids[account],
                new_id(wall()),
                sha256(KEY).digest(),
                body(f"{len(self.history.attempts)}-{n}"),
                int(wall()),
            )
            for n in range(count)
        ]
        self._submit(node, made)

    def post_again(self, node: int | None = None) -> None:
        """What nobody knows of: through the node that it was tried at, or another one."""
        doubtful, self.in_doubt = self.in_doubt, []
        for posting, first in doubtful:
            self._submit(first if node is None else node, [posting])

    def _submit(self, node: int, postings: list[Posting]) -> None:
        attempts = {}
        for one in postings:
            name = f"m{self.ids.index(one.account_id)}"
            attempts[one.id] = self.history.begin(str(one.id), name, one.body, node, self.tick())
        sender = Sender(attempts, self)
        for one in postings:
            self.nodes[node].posts.submit(one, sender)

    def open(self, account: int, node: int) -> None:
        phone = Phone(self, account, self.nodes[node], len(self.phones) + 1)
        self.phones.append(phone)
        assert phone.node.sessions is not None
        phone.node.sessions.start_soon(phone.serve)
        self._nursery.start_soon(phone.read)

    async def kill(self, number: int) -> None:
        self.nodes[number].die()
        for phone in self.phones:
            if phone.node is self.nodes[number]:
                phone.peer.drop()
        await trio.sleep(0.1)
        await self._start_node(number)

    def connect(self, giver: int) -> None:
        """A new line on which this node gives to the other one; one that was there is cut."""
        if len(self.nodes) < 2:
            return
        if (old := self._lines.pop(giver, None)) is not None:
            old.cut()
        one, other = self.nodes[giver], self.nodes[1 - giver]
        assert one.sessions is not None
        assert other.sessions is not None
        self._lines[giver] = connect(one.siblings, other.siblings, one.sessions, other.sessions)
        self.lines(self._room, self._stuck)

    def lines(self, room: int, stuck: bool) -> None:
        """How many messages they take, and whether anybody reads them."""
        self._room, self._stuck = room, stuck
        self.lines_were_stuck |= stuck
        for line in self._lines.values():
            for end in (line, line.other):
                assert end is not None
                end.room, end.stuck = room, stuck
                end.ring()

    def deafen(self, number: int) -> None:
        self.bus.deaf.add(number)

    def hear_again(self, number: int) -> None:
        """The listener has a connection again; what was said meanwhile is gone."""
        if number in self.bus.deaf:
            self.bus.deaf.discard(number)
            self.nodes[number].wakeups.gap()

    # -- what must be true --

    def check_deletes(self) -> None:
        """Nothing is gone that its newest session has not acknowledged."""
        kept = {id_ for _, id_ in self.mailbox.rows}
        for attempt in self.history.attempts:
            id_ = UUID(attempt.id)
            if attempt.outcome == "ok" and id_ not in kept:
                if id_ not in self.rightly_acked[int(attempt.mailbox[1:])]:
                    self.charges.append(f"{id_} was deleted, and no newest session had acknowledged it")
                self.settled.add(id_)

    async def heal(self) -> None:
        """Nothing is wrong any more, and everybody has had time."""
        self.mailbox.errors.clear()
        self.mailbox.unheard = 0
        self.bus.down = self.bus.stutters = False
        self.bus.late_s.clear()
        self.lines(ROOM, stuck=False)
        for number in range(2):
            self.hear_again(number)
        await trio.sleep(5)
        self.post_again()
        await trio.sleep(5)

    def check_open_sessions(self) -> None:
        """The newest session of an account, if it is open, has got all that waits, as far as its window goes; no other is open."""
        for account, id_ in enumerate(self.ids):
            still_open = [phone for phone in self.phones_of(account) if not phone.over]
            for phone in still_open:
                if not phone.is_newest:
                    self.charges.append(
                        f"session {phone.number} of account {account} is open, and it is not the newest"
                    )
            if not still_open:
                continue
            seen, acked = set(still_open[-1].seen), still_open[-1].acked
            waiting = [row for owner, row in self.mailbox.rows if owner == id_]
            in_flight = [one for one in waiting if one in seen and one not in acked]
            missing = [one for one in waiting if one not in seen]
            if missing and len(in_flight) < TIMING.in_flight_envelopes:
                self.charges.append(
                    f"{len(missing)} envelopes wait, and the open session of account {account} has room"
                )

    async def everything_arrives(self) -> None:
        """Whoever comes now gets all that is left."""
        for account in range(len(self.ids)):
            self.open(account, account % 2)
        for _ in range(30):
            await trio.sleep(1)
            for account in range(len(self.ids)):
                self.phones_of(account)[-1].acknowledge(1000)
        self.check_deletes()
        if self.mailbox.rows:
            self.charges.append(f"{len(self.mailbox.rows)} envelopes are left")


def ack_batch_without_epochs() -> Callable[..., Any]:
    """A delete that honours whoever asks: a planted bug."""

    async def remove(self: MemoryMailbox, batch: Sequence[AckBatch]) -> None:
        for acks in batch:
            for id_ in acks.ids:
                self.rows.pop((acks.account_id, id_), None)

    return remove
