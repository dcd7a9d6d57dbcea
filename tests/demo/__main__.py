"""The demo's story. Exits 0 only if every message arrived exactly once and the relay holds nothing that it must not."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import trio

from relay.config import load_settings
from relay.services import open_configured_database
from tests.demo import held
from tests.demo.people import DemoFailed, Person
from tests.live.relay_process import RelayProcess, running_relay
from tests.postgres.server import temporary_directory

CLIENT_ADDRESS = "127.0.0.1"
RELAY_ADDRESS = "127.0.0.2"
"""Not the address that clients come from, so that the relay's own can be told from theirs in its log."""


SETTLING_S = 10.0


class Story:
    """Tells what happens as it happens, and collects it for --json."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self.steps: list[dict[str, Any]] = []

    def chapter(self, title: str) -> None:
        self._say(f"\n== {title}")
        self.steps.append({"step": title})

    def line(self, text: str) -> None:
        self._say(f"   {text}")

    def fact(self, **facts: Any) -> None:
        self.steps[-1].update(facts)

    def end(self, ok: bool, why: str = "") -> None:
        if self._as_json:
            print(json.dumps({"ok": ok, "why": why, "steps": self.steps}, indent=2))  # noqa: T201
        else:
            self._say(f"\n{'Everything arrived exactly once.' if ok else 'FAILED: ' + why}")

    def _say(self, text: str) -> None:
        if not self._as_json:
            print(text, flush=True)  # noqa: T201


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document at the end instead of the story")
    story = Story(as_json=parser.parse_args().json)
    try:
        with temporary_directory() as directory, running_relay(directory, address=RELAY_ADDRESS) as relay:
            tell(story, relay, directory)
    except (DemoFailed, AssertionError) as failure:
        story.end(False, str(failure))
        return 1
    story.end(True)
    return 0


def tell(story: Story, relay: RelayProcess, directory: Path) -> None:
    """Every step is a plain statement; `expect` fails the demo."""
    alice, bob = Person("Alice Demirkan", directory / "alice"), Person("Bob Lindqvist", directory / "bob")

    story.chapter("A relay runs, and two people join by invite")
    story.line(f"relay at {relay.url}, its PostgreSQL in {directory / 'var'}")
    for person, invite in zip((alice, bob), relay.invite(2), strict=True):
        person.join(invite)
        story.line(f"{person.name} joined as {person.account}")
    alice.run("add", bob.card)
    story.line("Alice has Bob's contact link, by another way than the relay; Bob knows nothing of Alice yet")

    story.chapter("Bob is away; Alice writes")
    away = [f"Are you there? ({n})" for n in range(1, 4)]
    for text in away:
        alice.run("send", bob.name, text, "--wait")
    story.line("Alice's phone has `posted` for each: the envelopes are on the relay's disk")
    show_what_is_held(story, relay, alice, bob, texts=away, expected=len(away))

    story.chapter("Bob comes back; they talk")
    with talking(alice), talking(bob):
        bob.online.wait_for_texts(*away)
        exchange = []
        for n in range(1, 6):
            exchange += [(alice, bob, f"Alice says {n}"), (bob, alice, f"Bob says {n}")]
        for writer, reader, text in exchange:
            writer.online.write(reader, text)
            reader.online.wait_for_texts(text)
        story.line(f"{len(away)} messages were waiting, {len(exchange)} went to and fro")

        story.chapter("Bob's phone dies in mid-conversation")
        before, during, after = (
            [f"Alice says {n}" for n in numbers] for numbers in (range(6, 9), range(9, 12), range(12, 15))
        )
        for text in before:
            alice.online.write(bob, text)
        bob.online.kill()
        for text in during:
            alice.online.write(bob, text)
        alice.online.wait_for(lambda event: event["event"] == "sent", count=5 + len(before) + len(during))
        story.line("killed with SIGKILL while messages were on their way; Alice went on writing")
        show_what_is_held(story, relay, alice, bob, texts=[*before, *during], expected=None)

        story.chapter("Bob's phone starts again")
        bob.come_online().wait_for_texts(during[-1])
        last = [(bob, alice, "Bob says: my phone died"), *((alice, bob, text) for text in after)]
        for writer, reader, text in last:
            writer.online.write(reader, text)
            reader.online.wait_for_texts(text)

    story.chapter("The conversation, as each of them has it on disk")
    from_alice = [*away, *(f"Alice says {n}" for n in range(1, 15))]
    from_bob = [*(f"Bob says {n}" for n in range(1, 6)), "Bob says: my phone died"]
    for person, other, own, others in ((alice, bob, from_alice, from_bob), (bob, alice, from_bob, from_alice)):
        history = person.history(other)
        story.line(f"-- {person.name}")
        for message in history:
            story.line(f"   {person.name if message['direction'] == 'out' else other.name}: {message['text']}")
        story.fact(**{person.name: [(m["direction"], m["text"]) for m in history]})
        expect([m["text"] for m in history if m["direction"] == "out"] == own, f"{person.name} sent something else")
        received = [m["text"] for m in history if m["direction"] == "in"]
        expect(received == others, f"{person.name} did not receive everything exactly once, in order: {received}")
        expect(all(m["kind"] == "text" for m in history), f"{person.name} has a message that could not be decrypted")

    story.chapter("What the relay holds now")
    show_what_is_held(story, relay, alice, bob, texts=[*from_alice, *from_bob], expected=0)


@contextmanager
def talking(person: Person) -> Iterator[None]:
    person.come_online()
    try:
        yield
    finally:
        if person.online is not None:
            person.online.leave()


def show_what_is_held(
    story: Story, relay: RelayProcess, sender: Person, recipient: Person, *, texts: list[str], expected: int | None
) -> None:
    """Prints every column of every waiting envelope, and searches tables, disk and log."""
    deadline = time.monotonic() + SETTLING_S
    rows, table_columns, dumped = trio.run(_look, relay)
    while expected is not None and len(rows) > expected and time.monotonic() < deadline:
        time.sleep(0.2)  # acknowledgements are deleted behind the conversation
        rows, table_columns, dumped = trio.run(_look, relay)
    story.line(f"the table of envelopes has the columns {', '.join(table_columns)}: none for a sender")
    for row in rows:
        story.line(
            f"   to {row.account_id}  id {row.envelope_id}  #{row.seq}  at {row.arrived_at}  {row.body_bytes} bytes, sealed"
        )
    story.line(f"{len(rows)} waiting" if rows else "nothing is waiting")
    story.fact(held=[row._asdict() for row in rows])
    if expected is not None:
        expect(len(rows) == expected, f"{len(rows)} envelopes wait, not {expected}")
    expect(all(row.account_id == recipient.account for row in rows), "an envelope waits for somebody else")
    expect(all(row.body_bytes in (1024, 4096, 16384, 65536) for row in rows), "a body has a size that tells something")

    plain = [*texts, sender.name, recipient.name, CLIENT_ADDRESS]
    everything = "\n".join(dumped.values()).encode()
    expect(not held.found_in(everything, plain), "the database holds plaintext, a name or an address")
    who = [sender.account, UUID(sender.account).bytes]
    in_envelopes = "\n".join(text for name, text in dumped.items() if name.startswith("envelopes")).encode()
    expect(not held.found_in(in_envelopes, who), "an envelope names its sender")
    expect(not held.found_in(relay.logged().encode(), [*plain, *who, recipient.account]), "the log tells of people")
    on_disk = held.found_in_files(Path(relay.environ["SOTTOVOCE_VAR_DIRECTORY"]), [*texts, CLIENT_ADDRESS])
    expect(not on_disk, f"on disk: {on_disk[:3]}")
    story.line("searched tables, files, write-ahead log and log: no text, no name, no address, no sender")


async def _look(relay: RelayProcess) -> tuple[list[held.WaitingRow], list[str], dict[str, str]]:
    settings = load_settings(relay.environ)
    async with open_configured_database(settings) as database:
        return await held.waiting(database), await held.columns(database, "envelopes"), await held.dump(database)


def expect(truth: bool, otherwise: str) -> None:
    if not truth:
        raise DemoFailed(otherwise)


if __name__ == "__main__":
    sys.exit(main())
