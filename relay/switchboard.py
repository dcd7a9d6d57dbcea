"""Switchboard: which sessions are open in this process, by account. No I/O, and every method returns at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol
from uuid import UUID

from relay.errors import Ending
from relay.records import Ringing, Waiting


class _Live(Protocol):
    def end(self, ending: Ending) -> None: ...


class _LiveMailbox(_Live, Protocol):
    @property
    def epoch(self) -> int: ...

    def hand_over_mail(self, envelopes: Sequence[Waiting]) -> None: ...
    def hand_over_signals(self, signals: Sequence[Ringing]) -> None: ...
    def look_at_mail(self) -> None: ...
    def look_at_signals(self) -> None: ...
    def look_at_notices(self) -> None: ...


_RECOVERIES_FROM_BIT: Final = 32  # of an epoch; below it counts sessions


def _why_newer(newer: int, older: int) -> Ending:
    """Why a session with the older epoch ends: the account was recovered and its token is void, or it has another session."""
    recovered = newer >> _RECOVERIES_FROM_BIT > older >> _RECOVERIES_FROM_BIT
    return Ending.REVOKED if recovered else Ending.SUPERSEDED


class Meanwhile:
    """What of an account may have changed since its session was expected (nursery_tasks.ports.Meanwhile)."""

    __slots__ = ("mail", "notices", "signals")

    def __init__(self) -> None:
        self.mail = self.signals = self.notices = False


class Switchboard:
    """Sessions of this process. At most one mailbox session an account: the one with the newest epoch."""

    def __init__(
        self,
        on_left: Callable[[UUID], None] = lambda _: None,
        on_came: Callable[[UUID, int], None] = lambda _, __: None,
    ) -> None:
        """`on_left` is called when the mailbox session of an account has left and none is here any more.

        What was handed to it is only in the table. If the account has a newer session elsewhere, that one must look.
        `on_came` is called when an account has a session here, with its epoch; then it may have had one before.
        """
        self._mailboxes: dict[UUID, _LiveMailbox] = {}
        self._expected: dict[UUID, list[Meanwhile]] = {}
        self._posts: set[_Live] = set()
        self._on_left = on_left
        self._on_came = on_came
        self._draining = False

    @property
    def sessions(self) -> int:
        """Open sessions of both kinds."""
        return len(self._mailboxes) + len(self._posts)

    @property
    def mailbox_sessions(self) -> int:
        """Open mailbox sessions."""
        return len(self._mailboxes)

    @property
    def post_sessions(self) -> int:
        """Open post sessions."""
        return len(self._posts)

    def expect(self, account_id: UUID) -> Meanwhile:
        """A session of this account is about to begin, and looks at the database before it is here: so what it would be told is noted,
        until `forget`."""
        meanwhile = Meanwhile()
        self._expected.setdefault(account_id, []).append(meanwhile)
        return meanwhile

    def forget(self, account_id: UUID, meanwhile: object) -> None:
        """The session is here, or does not come. May be called again."""
        others = [one for one in self._expected.get(account_id, ()) if one is not meanwhile]
        if others:
            self._expected[account_id] = others
        else:
            self._expected.pop(account_id, None)

    @property
    def expected(self) -> int:
        """Accounts of which a session is expected."""
        return len(self._expected)

    @contextmanager
    def mailbox(self, account_id: UUID, live: _LiveMailbox) -> Iterator[None]:
        """Registers a mailbox session while the block runs. Of two sessions of one account the older epoch is superseded."""
        other = self._mailboxes.get(account_id)
        if self._draining:
            live.end(Ending.DRAINING)
        if other is not None and other.epoch > live.epoch:
            live.end(Ending.SUPERSEDED)
        else:
            if other is not None:
                other.end(_why_newer(live.epoch, other.epoch))
            self._mailboxes[account_id] = live
            self._on_came(account_id, live.epoch)
        try:
            yield
        finally:
            if self._mailboxes.get(account_id) is live:
                self._leave(account_id)

    @contextmanager
    def post(self, live: _Live) -> Iterator[None]:
        """Registers a post session while the block runs. Nothing is known of it but that it is there."""
        if self._draining:
            live.end(Ending.DRAINING)
        self._posts.add(live)
        try:
            yield
        finally:
            self._posts.discard(live)

    def hand_over_mail(self, account_id: UUID, envelopes: Sequence[Waiting]) -> bool:
        """Hands committed envelopes to the account's session; False if it has none here."""
        if self._expected:
            for meanwhile in self._expected.get(account_id, ()):
                meanwhile.mail = True
        if (live := self._mailboxes.get(account_id)) is None:
            return False
        live.hand_over_mail(envelopes)
        return True

    def hand_over_signals(self, account_id: UUID, signals: Sequence[Ringing]) -> bool:
        """The same for signals."""
        if self._expected:
            for meanwhile in self._expected.get(account_id, ()):
                meanwhile.signals = True
        if (live := self._mailboxes.get(account_id)) is None:
            return False
        live.hand_over_signals(signals)
        return True

    def look_at_mail(self, account_ids: Iterable[UUID]) -> None:
        """Another process stored envelopes for these accounts."""
        for account_id in account_ids:
            for meanwhile in self._expected.get(account_id, ()):
                meanwhile.mail = True
            if (live := self._mailboxes.get(account_id)) is not None:
                live.look_at_mail()

    def look_at_signals(self, account_ids: Iterable[UUID]) -> None:
        """Another process stored signals for these accounts."""
        for account_id in account_ids:
            for meanwhile in self._expected.get(account_id, ()):
                meanwhile.signals = True
            if (live := self._mailboxes.get(account_id)) is not None:
                live.look_at_signals()

    def look_at_notices(self, account_ids: Iterable[UUID]) -> None:
        """Keys of these accounts run low, or a post found their mailbox full."""
        for account_id in account_ids:
            for meanwhile in self._expected.get(account_id, ()):
                meanwhile.notices = True
            if (live := self._mailboxes.get(account_id)) is not None:
                live.look_at_notices()

    def look_at_everything(self) -> None:
        """Wake-ups may have been missed."""
        for expected in self._expected.values():
            for meanwhile in expected:
                meanwhile.mail = meanwhile.signals = meanwhile.notices = True
        for live in list(self._mailboxes.values()):
            live.look_at_mail()
            live.look_at_signals()
            live.look_at_notices()

    def is_here(self, account_id: UUID) -> bool:
        """Whether it has a mailbox session here."""
        return account_id in self._mailboxes

    def accounts_here(self, account_ids: Iterable[UUID] | None = None) -> list[UUID]:
        """Of these accounts (all, if None) those that have a mailbox session here."""
        if account_ids is None:
            return list(self._mailboxes)
        return [account_id for account_id in account_ids if account_id in self._mailboxes]

    def sessions_here(self) -> list[tuple[UUID, int]]:
        """Every account that has a mailbox session here, with its epoch."""
        return [(account_id, live.epoch) for account_id, live in self._mailboxes.items()]

    def check_epochs(self, asked: Iterable[UUID], epochs: dict[UUID, int]) -> None:
        """Ends sessions that are not the newest of their account any more, and those whose account is gone or was recovered.

        `epochs` holds the database's newest epoch of each of the accounts `asked` that exists. A session that began after
        the database was asked has a newer epoch and stays.
        """
        for account_id in asked:
            if (live := self._mailboxes.get(account_id)) is None:
                continue
            newest = epochs.get(account_id)
            if newest is None:
                live.end(Ending.REVOKED)
            elif newest > live.epoch:
                live.end(_why_newer(newest, live.epoch))
                self._leave(account_id)  # now: it would take hand-overs until it has said goodbye

    def drain(self) -> None:
        """Ends every session with `draining`, and every later one at once."""
        self._draining = True
        for live in [*self._mailboxes.values(), *self._posts]:
            live.end(Ending.DRAINING)

    def _leave(self, account_id: UUID) -> None:
        del self._mailboxes[account_id]
        self._on_left(account_id)
