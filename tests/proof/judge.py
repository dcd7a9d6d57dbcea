"""What the relay got to know, against what it may know: each finding is a sentence that names the betrayal."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.demo.held import spellings
from tests.proof import candidates
from tests.proof.recorder import Connection
from tests.proof.wire import Request, requests_of

BODY_SIZES = (1024, 4096, 16384, 65536)


@dataclass(frozen=True)
class Somebody:
    """What names one person: their number, and what their client's database holds of them."""

    name: str
    number: str
    address: str
    """The loopback address that the relay sees them come from."""
    account: str = ""
    secrets: tuple[bytes, ...] = ()
    """Bearer secrets and identity keys: what tells the relay who it is."""
    phone_token: bytes = b""

    def marks(self) -> Iterator[tuple[str, str | bytes]]:
        """What tells this person from others, by what it is called."""
        if self.account:
            yield "account id", self.account
            yield "account id", bytes.fromhex(self.account.replace("-", ""))
        for secret in self.secrets:
            yield "token or identity key", secret
        if self.phone_token:
            yield "phone token", self.phone_token


@dataclass
class Evidence:
    """Everything that was recorded. `dumps`: step, then table, then its rows as text, one a line."""

    people: list[Somebody]
    salt: bytes
    canaries: list[str]
    """Texts and names: what people said and what they call each other."""
    strangers: list[str]
    """Numbers of the address books that belong to no member."""
    connections: list[Connection] = field(default_factory=list)
    dumps: dict[str, dict[str, str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    """Of the relay's directory, the write-ahead log among them: name and content."""
    log: str = ""
    refused: dict[str, int] = field(default_factory=dict)
    """Status of each anonymous call that was tried with a login."""


def judge(evidence: Evidence) -> list[str]:
    """All findings; none: the relay knows what it may know."""
    requests = [(connection, requests_of(connection)) for connection in evidence.connections]
    return [
        *_told(evidence),
        *_pairs_at_rest(evidence),
        *_lanes(evidence, requests),
        *_body_sizes(evidence, requests),
    ]


def places(evidence: Evidence) -> Iterator[tuple[str, bytes]]:
    """Where to look, by name: what was received, stored, logged, and is on disk."""
    for connection in evidence.connections:
        yield f"what {connection.who} sent on connection {connection.number}", _unmasked(connection)
    for step, tables in evidence.dumps.items():
        for table, rows in tables.items():
            yield f"table {table} after '{step}'", rows.encode()
    yield "the log", evidence.log.encode()
    for name, content in evidence.files.items():
        yield f"file {name}", content


def _unmasked(connection: Connection) -> bytes:
    """The bytes, and the frames in clear: a client masks what it sends (RFC 6455 section 5.3), which would hide it from a search."""
    frames = [str(frame) for request in requests_of(connection) for frame in request.frames]
    bodies = [decoded(e["body"]) for r in requests_of(connection) for f in r.frames for e in _envelopes(f)]
    return b"\n".join([bytes(connection.up), *(frame.encode() for frame in frames), *bodies])


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _told(evidence: Evidence) -> Iterator[str]:
    """No number, no hash that the salt's holder could match without the evaluating key, no plaintext, no address, anywhere."""
    wanted: dict[bytes, str] = {}
    for number in [*(person.number for person in evidence.people), *evidence.strangers]:
        for written in candidates.writings(number):
            wanted |= dict.fromkeys(spellings(written), "a phone number")
        for what, digest in candidates.hashes(number, evidence.salt):
            hashed = f"a hash of a number that can be matched ({what})"
            wanted |= dict.fromkeys(spellings(digest[: candidates.SHORTEST]), hashed)
    for canary in evidence.canaries:
        wanted |= dict.fromkeys(spellings(canary), "plaintext")
    for person in evidence.people:
        wanted |= {person.address.encode(): "a network address"}
    beginnings: dict[bytes, list[bytes]] = {}
    for spelling in wanted:
        beginnings.setdefault(spelling[:_BEGINNING], []).append(spelling)
    for place, content in places(evidence):
        found = {wanted[spelling] for spelling in _found(beginnings, content)}
        yield from (f"{what} in {place}" for what in sorted(found))


_BEGINNING = 6


def _found(beginnings: dict[bytes, list[bytes]], content: bytes) -> Iterator[bytes]:
    """Which spellings occur. One look at every place of the content, instead of one search for each of many thousand spellings."""
    present = set()
    for part in content.split(bytes(64)):  # files are full of zeros
        present.update(
            window for i in range(len(part) - _BEGINNING + 1) if (window := part[i : i + _BEGINNING]) in beginnings
        )
    for beginning in present:
        yield from (spelling for spelling in beginnings[beginning] if spelling in content)


def _pairs_at_rest(evidence: Evidence) -> Iterator[str]:
    """No row that names two people: an envelope's recipient and its sender, above all."""
    for step, tables in evidence.dumps.items():
        for table, rows in tables.items():
            for row in rows.splitlines():
                named = {
                    person.name
                    for person in evidence.people
                    for _, mark in person.marks()
                    if _row_names(row, mark)
                }  # fmt: skip
                if len(named) > 1:
                    yield f"a row of table {table} names {' and '.join(sorted(named))} (after '{step}')"
                    break


def _row_names(row: str, mark: str | bytes) -> bool:
    return (mark if isinstance(mark, str) else mark.hex()) in row


def _lanes(evidence: Evidence, requests: Iterable[tuple[Connection, list[Request]]]) -> Iterator[str]:
    """No connection with both lanes, no login on the anonymous one, nothing of the sender there, nothing of others on the identified one."""
    by_name = {person.name: person for person in evidence.people}
    for connection, sent in requests:
        where = f"connection {connection.number} of {connection.who}"
        if len({request.on_anonymous_lane for request in sent}) > 1:
            yield f"{where} carried both lanes"
        if len(sent) > 1 and any(request.on_anonymous_lane for request in sent):
            yield f"{where} ties {len(sent)} anonymous calls together"
        for request in sent:
            call = f"{request.method} {request.path.split('?')[0]}"
            if request.on_anonymous_lane and request.identified:
                yield f"{call} on {where} carries a login"
            if not request.on_anonymous_lane and not request.identified and not request.names_itself:
                yield f"{call} on {where} is on neither lane"
            if "?" in request.path:
                yield f"{call} on {where} has a query, which proxies log"
            sender = by_name.get(connection.who)
            others = [person for person in evidence.people if person is not sender]
            if request.on_anonymous_lane and sender and (mark := _named_in(request, sender)):
                yield f"{call} on {where} names its sender: {mark}"
            if not request.on_anonymous_lane:
                yield from (
                    f"{call} on {where} names {other.name}: {mark}"
                    for other in others
                    if (mark := _named_in(request, other))
                )
    for call, status in evidence.refused.items():
        if status != 400:
            yield f"{call} with a login was answered with {status}: a token is accepted on the anonymous lane"


def _named_in(request: Request, person: Somebody) -> str | None:
    text = "\n".join(
        [request.path, *(f"{k}: {v}" for k, v in request.headers.items()), *map(str, request.frames)]
    ).encode()
    sealed = b"\n".join(decoded(one["body"]) for frame in request.frames for one in _envelopes(frame))
    everything = b"\n".join([text, request.body, sealed])
    for what, mark in person.marks():
        if any(spelling in everything for spelling in spellings(mark)):
            return what
    return None


def _envelopes(frame: dict[str, object]) -> list[dict[str, str]]:
    """The envelopes of a post, the signal itself, or what was delivered."""
    if frame.get("type") == "signal":
        return [frame]  # type: ignore[list-item]
    listed = frame.get("envelopes", [])
    return listed if isinstance(listed, list) else []


def _body_sizes(evidence: Evidence, requests: Iterable[tuple[Connection, list[Request]]]) -> Iterator[str]:
    seen = 0
    for connection, sent in requests:
        for request in sent:
            for frame in [*request.frames, *request.answers]:
                for envelope in _envelopes(frame):
                    seen += 1
                    size = len(decoded(envelope["body"]))
                    if size not in BODY_SIZES:
                        yield f"a body of {size} bytes on connection {connection.number} of {connection.who}"
    for step, tables in evidence.dumps.items():
        for table, rows in tables.items():
            for row in rows.splitlines():
                if table.startswith(("envelopes", "signals")):
                    size = len(row.rpartition("\\\\x")[2].rstrip('")')) // 2
                    if size not in BODY_SIZES:
                        yield f"a body of {size} bytes in table {table} (after '{step}')"
    if not seen:
        yield "no body was seen at all: the recording is worth nothing"


def read_files(directory: Path) -> dict[str, bytes]:
    """Every file of the relay. Left out: its secrets, which it must have; PostgreSQL's configuration, whose comments name loopback
    addresses; and the databases that PostgreSQL itself made (template1, template0, postgres)."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
        and not path.is_symlink()
        and path.suffix not in (".conf", ".sample")
        and "secrets" not in path.parts
        and not ("base" in path.parts and path.parent.name in ("1", "4", "5"))
    }
