"""Who lets others go first, and for whom they need not."""

from __future__ import annotations

from pathlib import Path

from tests.live.app import rejected
from tests.live.relay_process import running_relay
from tests.live.test_conversation import join


async def test_only_members_who_show_their_token_spare_others_a_pause(relay_directory: Path) -> None:
    """Else a crowd of those who are nobody would come in as fast as all members after a restart."""
    came = relay_directory / "came"
    with running_relay(
        relay_directory, application="tests.live.counting_app:app", extra_environ={"MEMBERS_CAME": str(came)}
    ) as relay:
        (bob,) = await join(relay)
        wrong = {"Authorization": bob.bearer["Authorization"][:-4] + "AAAA"}
        assert await rejected(relay.url, "/v1/mailbox", wrong) == 401
        async with bob.posting():
            pass
        assert came.read_bytes() == b""
        for times in (1, 2):
            async with bob.mailbox():
                assert came.read_bytes() == b"." * times
