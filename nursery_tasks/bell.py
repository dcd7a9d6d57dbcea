"""What a task of a session sleeps on: a `trio.Event` that begins anew, for one sleeper, in a fifth of the room."""

from __future__ import annotations

import trio


class Bell:
    """One task waits for it at a time; whoever rings it is synchronous. A ring that nobody waits for is kept, once."""

    __slots__ = ("_rung", "_sleeper")

    def __init__(self) -> None:
        self._rung = False
        self._sleeper: trio.lowlevel.Task | None = None

    @property
    def waited_for(self) -> bool:
        """Whether a task sleeps until it rings."""
        return self._sleeper is not None

    def ring(self) -> None:
        """Wakes the sleeper, or the next one at once."""
        if self._sleeper is None:
            self._rung = True
        else:
            trio.lowlevel.reschedule(self._sleeper)
            self._sleeper = None

    def hush(self) -> None:
        """Forgets a ring that nobody waited for."""
        self._rung = False

    async def wait(self) -> None:
        """Until it rings, or has rung since the last wait. A checkpoint always.

        Raises:
            trio.BusyResourceError: somebody else waits for it.
        """
        if self._rung:
            await trio.lowlevel.checkpoint()
            self._rung = False
            return
        if self._sleeper is not None:
            raise trio.BusyResourceError("a bell has one sleeper")
        self._sleeper = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._leave)

    def _leave(self, _: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
        self._sleeper = None
        return trio.lowlevel.Abort.SUCCEEDED
