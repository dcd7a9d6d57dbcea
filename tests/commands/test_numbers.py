"""relay accounts release: a number that somebody squats is free again, and the relay never heard which it was."""

from __future__ import annotations

import os
import time

from relay.accounts import Accounts
from relay.app_salt import phone_token_of
from relay.database import open_database
from relay.errors import NumberTaken
from relay.invites import Invites
from relay.secret_files import load_keys
from tests.commands.operator_shell import Shell
from tests.identity.members import Member

NUMBER = "+4915112345678"


async def test_a_number_is_released(shell: Shell, schema_database_url: str) -> None:
    async with open_database(schema_database_url) as database:
        accounts, invites = Accounts(database, wall_clock=time.time), Invites(database, wall_clock=time.time)
        codes = [one.code for one in await invites.mint(count=2, ttl_s=3600)]
        token = phone_token_of(NUMBER, load_keys(shell.secrets), shell.secrets)
        squatter, owner = (Member(phone_token=token, number_key=os.urandom(16)) for _ in range(2))
        squatted = await accounts.register(codes[0], squatter.registration())
        try:
            await accounts.register(codes[1], owner.registration())
        except NumberTaken:
            taken = True
        assert taken

        other = await shell.relay("accounts", "release", "+4915112345679", "--yes")
        assert (other.code, "nobody has registered" in other.err) == (os.EX_NOINPUT, True)
        done = await shell.relay("accounts", "release", "+49 151 1234 5678", "--yes", "--json")
        assert done.json() == {"released": True}
        held = await accounts.describe(squatted)
        assert (held.phone_token, held.open_to_number) == (None, False)
        await accounts.register(codes[1], owner.registration())


async def test_it_asks_first(shell: Shell) -> None:
    done = await shell.relay("accounts", "release", NUMBER)
    assert done.code != 0
    assert NUMBER not in done.out + done.err
