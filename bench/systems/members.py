"""Accounts of the wire protocol, put into `accounts` by the thousand; registering them one by one is not what is measured."""

from __future__ import annotations

import hashlib
import os
from uuid import UUID, uuid4

from bench.systems import Person
from relay.database import Database
from relay.frames import to_b64

INSERT = """
INSERT INTO accounts (account_id, token_hash, recovery_hash, identity_key, registration_id, contact_access_hash, registered_on)
SELECT i.account_id, i.token_hash, i.token_hash, i.identity_key, 1, i.access_hash, current_date
FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bytea[]) AS i (account_id, token_hash, identity_key, access_hash)
"""


async def make_members(database: Database, count: int) -> list[Person]:
    """So many accounts; each as {account, token, access}, the latter two in base64url."""
    people: list[Person] = []
    rows: list[tuple[UUID, bytes, bytes, bytes]] = []
    for _ in range(count):
        account, secret, access = uuid4(), os.urandom(32), os.urandom(16)
        people.append({"account": str(account), "token": f"{account}.{to_b64(secret)}", "access": to_b64(access)})
        rows.append(
            (account, hashlib.sha256(secret).digest(), b"\x05" + os.urandom(32), hashlib.sha256(access).digest())
        )
    await database.execute(INSERT, *(list(column) for column in zip(*rows, strict=True)), timeout_s=60)
    return people
