"""Backups: who is a member, and the relay's keys, in two files that only their owner can open.

A backup holds no mail and no one-time key: sealed bodies would outlive the day they were read, and a one-time key that is handed out twice is
none. Apps notice that theirs are gone and upload new ones. Invites are left out too: one that was used up since would be good again.

Data and keys are two files, so that they can be kept in two places: the keys of this relay are what makes its data worth stealing. Both are in
the age format (https://age-encryption.org/v1), which `age -d` opens as well. Encrypting to an age recipient leaves nothing on this machine that
could open them.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyrage

from relay.database import Database, Queries
from relay.queries import backup as sql
from relay.secret_files import TRUST_ROOT, read_or_make, read_secret, ready_directory

FORMAT: Final = 1
KEPT: Final = ("accounts", "standing_prekeys", "push_subscriptions")
"""Tables in a backup, in the order in which rows can go back."""
LEFT_OUT: Final = {
    "prekeys": "one-time keys must not come back: some were handed out since",
    "kyber_prekeys": "the same",
    "envelopes": "mail is not kept longer than it waits",
    "signals": "worthless after a minute",
    "invites": "one that was used up since would be good again",
    "allowances": "they fill up again by themselves",
    "recovery_tries": "the same",
    "registrations": "they belong to invites",
    "relay_schema": "made with the schema",
    "relay_migrations": "the same",
}
RESET: Final[Mapping[str, tuple[str, ...]]] = {"accounts": ("mailbox_was_full", "takes_full_at")}
"""Columns that say what happened last, which after a restore is something else: they take their default."""
_NOT_KEYS: Final = (TRUST_ROOT,)  # it should not be on the machine; in a nightly backup even less
_ROWS_AT_ONCE: Final = 500
_TIMEOUT_S: Final = 600


class BackupError(Exception):
    """A backup cannot be made, opened or brought back. The message says why, and what to do."""


class Sealing(NamedTuple):
    """How a backup is encrypted: to age recipients (age1...), or by a passphrase."""

    recipients: Sequence[str] = ()
    passphrase: str | None = None


class Opening(NamedTuple):
    """How it is opened: by age identities (AGE-SECRET-KEY-1...), or by a passphrase."""

    identities: Sequence[str] = ()
    passphrase: str | None = None


@dataclass(frozen=True)
class Data:
    """What a data backup holds."""

    made_at: int
    name: str
    schema_version: int
    fingerprint: str
    tables: Mapping[str, list[dict[str, Any]]]

    @property
    def counts(self) -> dict[str, int]:
        return {table: len(rows) for table, rows in self.tables.items()}


@dataclass(frozen=True)
class Keys:
    """What a backup of keys holds: files of the secrets directory."""

    made_at: int
    name: str
    files: Mapping[str, bytes]


# -- making ------------------------------------------------------------------------------------------------------------


async def read_data(database: Database, *, name: str, made_at: int) -> Data:
    """All rows that belong in a backup, as of one moment.

    Raises:
        DatabaseUnavailable
    """
    tables: dict[str, list[dict[str, Any]]] = {}
    async with database.transaction() as tx:
        await tx.execute(sql.SNAPSHOT)
        schema = await tx.fetchrow(sql.SCHEMA)
        if schema is None:
            raise BackupError("the database has no record of its schema; start the relay on it once")
        for table in KEPT:
            rows = await tx.fetch(sql.EXPORT.format(table=table), timeout_s=_TIMEOUT_S)
            tables[table] = [_without(json.loads(row[0]), RESET.get(table, ())) for row in rows]
    return Data(made_at, name, schema["version"], schema["fingerprint"], tables)


def read_keys(directory: Path, *, name: str, made_at: int) -> Keys:
    """All secret files but the trust root's private half.

    Raises:
        SecretFileError: as load_keys does.
    """
    ready_directory(directory)
    names = [path.name for path in sorted(directory.iterdir()) if not path.name.startswith(".")]
    contents = {one: read_secret(directory / one) for one in names if one not in _NOT_KEYS}
    return Keys(made_at, name, {one: content for one, content in contents.items() if content is not None})


def seal(content: Data | Keys, sealing: Sealing) -> bytes:
    """The bytes of a backup file.

    Raises:
        BackupError: a recipient is none.
    """
    lines = _data_lines(content) if isinstance(content, Data) else _keys_lines(content)
    plain = gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode())
    try:
        if sealing.passphrase is not None:
            return bytes(pyrage.passphrase.encrypt(plain, sealing.passphrase))
        recipients = [pyrage.x25519.Recipient.from_str(one) for one in sealing.recipients]
    except (pyrage.RecipientError, pyrage.EncryptError):
        raise BackupError("that is no age recipient; it begins with age1 (see relay backup --make-identity)") from None
    return bytes(pyrage.encrypt(plain, recipients))


def make_identity() -> tuple[str, str]:
    """A new age identity, and its recipient."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


# -- opening -----------------------------------------------------------------------------------------------------------


def open_sealed(sealed: bytes, opening: Opening) -> Data | Keys:
    """What is in a backup file; whole, or an error.

    Raises:
        BackupError: it is not for this identity or passphrase, or was changed or cut off, or is something else.
    """
    try:
        if opening.passphrase is not None:
            plain = pyrage.passphrase.decrypt(sealed, opening.passphrase)
        else:
            plain = pyrage.decrypt(sealed, [pyrage.x25519.Identity.from_str(one) for one in opening.identities])
    except (pyrage.DecryptError, pyrage.IdentityError):
        raise BackupError("it cannot be opened: another identity or passphrase, or the file was damaged") from None
    try:
        lines = [json.loads(line) for line in gzip.decompress(plain).splitlines()]
        head, rest = lines[0], lines[1:]
        if head["format"] != FORMAT:
            raise BackupError(f"it has format {head['format']}, and this relay reads {FORMAT}")
        if head["holds"] == "keys":
            return Keys(head["made_at"], head["name"], {one["file"]: bytes.fromhex(one["hex"]) for one in rest})
        tables: dict[str, list[dict[str, Any]]] = {table: [] for table in head["counts"]}
        for one in rest:
            tables[one["table"]].append(one["row"])
        data = Data(head["made_at"], head["name"], head["schema_version"], head["fingerprint"], tables)
    except (ValueError, KeyError, TypeError, IndexError, OSError):
        raise BackupError("it can be opened, but is no backup of a relay") from None
    if data.counts != head["counts"]:
        raise BackupError("it has other numbers of rows than it says itself")
    return data


# -- bringing back -----------------------------------------------------------------------------------------------------


async def restore_data(database: Database, data: Data) -> None:
    """Puts the rows into a database that has a schema and no accounts: all of them or none.

    Raises:
        BackupError: there are accounts, or a row does not fit this schema.
        DatabaseUnavailable
    """
    async with database.transaction() as tx:
        version = (await tx.fetch(sql.SCHEMA))[0]["version"]
        if data.schema_version > version:
            raise BackupError(f"it comes from schema {data.schema_version}, this relay has {version}: update the relay")
        if await tx.fetchval(sql.HAS_ACCOUNTS):
            raise BackupError("there are accounts in the database; a backup is brought back into an empty one")
        for table in KEPT:
            await _insert(tx, table, data.tables.get(table, []))


async def _insert(tx: Queries, table: str, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    brought = set(rows[0])
    columns = [row[0] for row in await tx.fetch(sql.COLUMNS, table) if row[0] in brought]
    statement = sql.IMPORT.format(table=table, columns=", ".join(columns))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        await tx.execute(statement, json.dumps(rows[start : start + _ROWS_AT_ONCE]), timeout_s=_TIMEOUT_S)


def restore_keys(directory: Path, keys: Keys) -> list[str]:
    """Writes the files that are not there, 0600; names them. One that is there with other content is never overwritten.

    Raises:
        BackupError: another relay's keys are there.
        SecretFileError: as load_keys does.
    """
    ready_directory(directory)
    for name, content in keys.files.items():
        if Path(name).name != name or name.startswith("."):
            raise BackupError("a file in it would lie outside of the directory")
        held = read_secret(directory / name)
        if held is not None and held != content:
            raise BackupError(f"{directory / name} holds something else; move it away if the backup's is the right one")
    missing = [name for name in keys.files if read_secret(directory / name) is None]
    for name in missing:
        read_or_make(directory / name, partial(keys.files.__getitem__, name))
    return missing


def _without(row: dict[str, Any], columns: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in columns}


def _data_lines(data: Data) -> Iterator[dict[str, Any]]:
    yield {
        "format": FORMAT,
        "holds": "data",
        "made_at": data.made_at,
        "name": data.name,
        "schema_version": data.schema_version,
        "fingerprint": data.fingerprint,
        "counts": data.counts,
    }
    for table, rows in data.tables.items():
        for row in rows:
            yield {"table": table, "row": row}


def _keys_lines(keys: Keys) -> Iterator[dict[str, Any]]:
    yield {"format": FORMAT, "holds": "keys", "made_at": keys.made_at, "name": keys.name}
    for file, content in keys.files.items():
        yield {"file": file, "hex": content.hex()}
