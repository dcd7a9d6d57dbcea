"""A week of two people's life with one relay, told by real clients, each behind a recorder; and short pieces of it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import trio

from relay.config import load_settings
from relay.services import open_configured_database
from tests.demo import held
from tests.demo.people import DemoFailed, Person
from tests.live.relay_process import RelayProcess, running_relay
from tests.postgres.server import temporary_directory
from tests.proof.judge import Evidence, Somebody, read_files
from tests.proof.recorder import Recorder
from tests.proof.wire import requests_of

RELAY_ADDRESS = "127.0.0.2"
"""Its own address, which its log may name; nobody's client comes from it."""
NUMBERS = {"Alice": "+4915112345678", "Bob": "+905321234567"}
ADDRESSES = {"Alice": "127.77.11.7", "Bob": "127.77.22.9"}
STRANGERS = ["+12025550123", "+442071838750", "+4915187654321"]
"""In Alice's address book, and no members."""
BOOK_NAMES = ["Bobby from the climbing hall", "Aunt Hildegard", "Locksmith at the corner", "Dr. Wunderlich"]
FULL_NAMES = {"Alice": "Alice Demirkan-Vogt", "Bob": "Bob Lindqvist-Okafor"}
ENVIRON = {"SOTTOVOCE_PREKEYS": "5"}
"""Few one-time keys: they are public and fill dumps."""


class Week:
    """One relay, two people, and what was recorded so far."""

    def __init__(self, relay: RelayProcess, directory: Path) -> None:
        self.relay = relay
        self._directory = directory
        host, port = relay.listener.getsockname()
        self._recorders = {who: Recorder(who, ADDRESSES[who], (host, port)) for who in NUMBERS}
        self.alice = Person(FULL_NAMES["Alice"], directory / "alice", environ=ENVIRON)
        self.bob = Person(FULL_NAMES["Bob"], directory / "bob", environ=ENVIRON)
        self.salt = b""
        self.said: list[str] = []
        self._dumps: dict[str, dict[str, str]] = {}
        self._files: dict[str, bytes] = {}
        self._refused: dict[str, int] = {}

    def close(self) -> None:
        for recorder in self._recorders.values():
            recorder.close()

    # -- what happens

    def invite(self, who: str) -> str:
        """An invite as `who` gets it: it leads through their recorder."""
        (link,) = self.relay.invite(1)
        fragment = parse_qs(urlsplit(link).fragment)
        self.salt = urlsafe_b64decode(fragment["s"][0] + "==")
        return link.replace(self.relay.url, self._recorders[who].url)

    def join(self) -> None:
        self.alice.join(self.invite("Alice"), "--number", NUMBERS["Alice"])
        self.bob.join(self.invite("Bob"), "--number", NUMBERS["Bob"])
        self.look("both have joined with their numbers")

    def discover(self) -> None:
        book = self._directory / "book.txt"
        numbers = [NUMBERS["Bob"], *STRANGERS]
        book.write_text("".join(f"{number} {name}\n" for number, name in zip(numbers, BOOK_NAMES, strict=True)))
        (result,) = self.alice.run("discover", str(book), "--fast")
        if [one["account"] for one in result["found"]] != [self.bob.account]:
            raise DemoFailed(f"Alice did not find Bob: {result}")
        self.look("Alice has asked who of her address book is here")

    def write_by_number(self, text: str) -> None:
        """Alice, who knows nothing of Bob but his number; Bob is away."""
        self.said.append(text)
        self.alice.run("send", NUMBERS["Bob"], text, "--wait")
        self.look("Alice has written to Bob, who is away")

    def talk(self, count: int) -> None:
        """To and fro, both online."""
        with _online(self.bob), _online(self.alice):
            for n in range(count):
                for writer, reader in ((self.bob, self.alice), (self.alice, self.bob)):
                    text = f"{writer.name.split()[0]} tells a secret, the {n}th of many"
                    self.said.append(text)
                    writer.online.write(reader, text)
                    reader.online.wait_for_texts(text)
        self.look("they have talked")

    def try_logins_on_the_anonymous_lane(self) -> None:
        """What our clients never do: each anonymous call with Alice's login. Straight to the relay, so it is nobody's traffic."""
        login = self._somebody("Alice")
        bearer = f"Bearer {login.account}.{_b64(login.secrets[0])}"
        for method, path, body in (
            ("GET", "/v1/relay", None),
            ("POST", f"/v1/prekeys/{self.bob.account}/take", b""),
            (
                "POST",
                "/v1/discovery/lookup",
                json.dumps({"tokens": [_b64(bytes([n]) * 32) for n in range(100)]}).encode(),
            ),
            ("GET", "/v1/post", None),
        ):
            headers = {"Authorization": bearer, "Access-Key": _b64(bytes(16)), "Content-Type": "application/json"}
            if path == "/v1/post":
                headers |= {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
                headers["Sec-WebSocket-Key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
            request = urllib.request.Request(self.relay.url + path, body, headers, method=method)
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    self._refused[f"{method} {path}"] = answer.status
            except urllib.error.HTTPError as error:
                self._refused[f"{method} {path}"] = error.code

    # -- what is recorded

    def look(self, step: str) -> None:
        """Dumps every table and keeps every file as it is now: what is deleted later was there once."""
        self._dumps[step] = trio.run(self._dump)
        for name, content in read_files(Path(self.relay.environ["SOTTOVOCE_VAR_DIRECTORY"])).items():
            if self._files.get(name) != content:
                self._files[f"{name} ({step})" if name in self._files else name] = content

    async def _dump(self) -> dict[str, str]:
        async with open_configured_database(load_settings(self.relay.environ)) as database:
            return await held.dump(database)

    def evidence(self) -> Evidence:
        return Evidence(
            people=[self._somebody(who) for who in NUMBERS],
            salt=self.salt,
            canaries=[*self.said, *FULL_NAMES.values(), *BOOK_NAMES],
            strangers=STRANGERS,
            connections=[connection for one in self._recorders.values() for connection in one.connections],
            dumps=self._dumps,
            files=self._files,
            log=self.relay.logged(),
            refused=self._refused,
        )

    def _somebody(self, who: str) -> Somebody:
        """What tells `who`, gathered from what they themselves sent on the identified lane."""
        account, secrets, token = {"Alice": self.alice, "Bob": self.bob}[who].account, [], b""
        for connection in self._recorders[who].connections:
            for request in requests_of(connection):
                login = request.headers.get("authorization", "")
                if login.startswith("Bearer "):
                    secrets.append(_unb64(login.partition(".")[2]))
                if request.path in ("/v1/accounts", "/v1/accounts/recover"):
                    body = json.loads(request.body)
                    secrets += [_unb64(body["identity_key"]), _unb64(body["token_hash"])]
                    token = _unb64(body.get("phone_token") or "") or token
        known = list(dict.fromkeys(sorted(secrets, key=lambda secret: len(secret) != 32)))
        return Somebody(who, NUMBERS[who], ADDRESSES[who], account, tuple(known), token)


@contextmanager
def week(*, application: str = "relay.app:app", environ: dict[str, str] | None = None) -> Iterator[Week]:
    """A fresh relay, and two people who have not joined yet."""
    with (
        temporary_directory() as directory,
        running_relay(directory, address=RELAY_ADDRESS, application=application, extra_environ=environ) as relay,
    ):
        told = Week(relay, directory)
        try:
            yield told
        finally:
            told.close()


@contextmanager
def _online(person: Person) -> Iterator[None]:
    online = person.come_online()
    try:
        yield
    finally:
        online.leave()


def _b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def tell(told: Week, say: Callable[[str], None] = lambda _text: None) -> None:
    """The whole week."""
    say("Alice and Bob join, each with a number")
    told.join()
    say("Alice has a phone book; she finds Bob in it")
    told.discover()
    say("Alice writes to Bob, of whom she knows the number; he is away")
    told.write_by_number("is this the Bob of the climbing hall, or somebody else")
    say("they talk")
    told.talk(3)
    say("logins are tried on the anonymous lane")
    told.try_logins_on_the_anonymous_lane()
