"""Call-signal forwarder: the lane of what is worthless after a minute, apart from mail: a full queue never delays a ring."""

from __future__ import annotations

from math import ceil
from uuid import UUID

from nursery_tasks.lane import Lane
from nursery_tasks.outbox import Outbox
from nursery_tasks.ports import Signals, Wall
from relay.errors import Ending
from relay.frames import SignalOut
from relay.records import Ringing


async def forward_call_signals(
    lane: Lane[Ringing], signals: Signals, account_id: UUID, outbox: Outbox, wall: Wall
) -> Ending:
    """Never returns by itself; ends by cancellation or by an error.

    Raises:
        DatabaseUnavailable: the signals could not be read.
    """
    while True:
        for signal in await lane.next_items(signals, account_id, wall):
            if (frame := signal_frame(signal, wall())) is not None:
                await outbox.say(frame)


def signal_frame(signal: Ringing, now: float) -> SignalOut | None:
    """What the app is told, or None if it expired on the way here, and an app would have to drop it."""
    # Rounded up, since its beginning was rounded down: a signal of one second would never arrive.
    ttl_s = ceil(signal.expires_at - now)
    return SignalOut.model_construct(id=signal.id, body=signal.body, ttl_s=ttl_s) if ttl_s > 0 else None
