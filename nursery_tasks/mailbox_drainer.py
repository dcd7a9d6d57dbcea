"""Mailbox drainer: brings an account's waiting envelopes to its app, oldest first, then lives on hand-overs.

Catch-up path and live path are both in `Lane`; this task turns what comes out of it into frames.
"""

from __future__ import annotations

from uuid import UUID

from nursery_tasks.lane import Lane
from nursery_tasks.outbox import Outbox
from nursery_tasks.ports import Mailbox, PageStore, Wall
from relay.errors import Ending
from relay.frames import PREKEYS_LOW, Delivery, Drained, MailboxWasFull, PrekeysLow
from relay.records import Notices, Waiting


async def drain_mailbox(
    lane: Lane[Waiting],
    pages: PageStore[Waiting],
    mailbox: Mailbox,
    account_id: UUID,
    outbox: Outbox,
    wall: Wall,
    notices: Notices | None,
) -> Ending:
    """Never returns by itself; ends by cancellation or by an error. `notices` are those that were read just now, if they were.

    Raises:
        DatabaseUnavailable: the mailbox could not be read.
    """
    drained = False
    while True:
        if not drained and not lane.behind:
            drained = True
            await outbox.send(Drained())
            await _tell_notices(mailbox, account_id, outbox, notices)
            notices = None
        envelopes = await lane.next_items(pages, account_id, wall)
        if envelopes:
            # Validated when they were posted, and a record has an envelope's fields: nothing is copied or checked again.
            await outbox.say(Delivery(envelopes))
        if lane.was_nudged:
            notices = None
            if drained:
                await _tell_notices(mailbox, account_id, outbox, None)


async def _tell_notices(mailbox: Mailbox, account_id: UUID, outbox: Outbox, known: Notices | None) -> None:
    # That the mailbox was full is cleared by asking, so it is asked for when it is told, and not long before.
    notices = await mailbox.notices(account_id) if known is None or known.mailbox_was_full else known
    if notices.mailbox_was_full:
        await outbox.send(MailboxWasFull())
    if min(notices.prekeys, notices.kyber_prekeys) < PREKEYS_LOW:
        await outbox.send(PrekeysLow(prekeys=notices.prekeys, kyber_prekeys=notices.kyber_prekeys))
