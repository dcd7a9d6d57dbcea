"""Calls: whether the TURN server does what two phones need, as `relay turn-check` tries it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from relay.config import Settings
from relay.diagnosis.finding import Finding, bad, good
from relay.secret_files import load_turn_secret
from relay.turn_check import check


async def look_at_calls(settings: Settings) -> AsyncIterator[Finding]:
    """One finding: what each step says is for `relay turn-check`."""
    if not settings.turn_servers:
        yield good("calls", "calls are not offered (turn_urls is not set)")
        return
    steps = await check(settings.turn_servers, load_turn_secret(settings.secrets_directory), time.time)
    wrong = [step for step in steps if step.state != "ok"]
    if wrong:
        yield bad("calls", f"{wrong[0].url}: {wrong[0].step}: {wrong[0].words}", "relay turn-check shows every step")
    else:
        yield good("calls", f"{len(settings.turn_servers)} TURN addresses work")
