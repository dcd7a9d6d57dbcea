"""Posts of many sessions share a commit, though their sockets are not all read in the same turn."""

from __future__ import annotations

import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

from relay.readiness import READ_A_TURN
from tests.live.app import answers
from tests.live.relay_process import running_relay
from tests.live.test_conversation import join
from tests.live.test_metrics import scrape, total
from tests.live.test_survival import on_thread
from tests.postgres.processes import family, until


def stands(pid: int) -> bool:
    """T: stopped by a signal, proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


async def test_a_commit_waits_for_what_lies_in_the_sockets(relay_directory: Path) -> None:
    """A relay that stood still finds a frame in each of more sockets than it reads in a turn."""
    many = 8 * READ_A_TURN
    with running_relay(
        relay_directory,
        application="tests.live.patient_app:app",
        extra_environ={"PATIENT_FOR_POSTS": str(many)},
        posts_burst=many,
    ) as relay:
        assert relay.process is not None
        group = relay.process.pid
        (bob,) = await join(relay)
        async with AsyncExitStack() as open_:
            sessions = [await open_.enter_async_context(bob.posting()) for _ in range(many)]
            os.killpg(group, signal.SIGSTOP)
            try:
                await until(lambda: all(map(stands, family(group))))
                for session in sessions:
                    await session.say({"type": "post", "envelopes": [bob.envelope()]})
            finally:
                os.killpg(group, signal.SIGCONT)
            said = [code for session in sessions for code in (await answers(session, 1)).values()]
        assert said == ["posted"] * many
        text = await scrape(relay)
        assert total(text, "sottovoce_batch_items_sum", lane="mail") == many
        assert total(text, "sottovoce_commit_seconds_count", lane="mail") == 1
        await on_thread(relay.stop)
