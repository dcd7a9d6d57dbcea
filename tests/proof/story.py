"""A week of two people's life with one relay, told by real clients, each behind a recorder; and short pieces of it."""

from __future__ import annotations

import http.client
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trio

from relay.config import load_settings
from relay.services import open_configured_database
from tests.demo import held
from tests.live.relay_process import RelayProcess, running_relay
from tests.postgres.server import temporary_directory
from tests.proof.judge import Evidence, Somebody, read_files
from tests.proof.phone import Phone, PhoneFailed
from tests.proof.recorder import Recorder
from tests.proof.wire import requests_of

RELAY_ADDRESS = "127.0.0.2"
"""Its own address, which its log may name; nobody's client comes from it."""
NUMBERS = {"Alice": "+4915112345678", "Bob": "+905321234567"}
ADDRESSES = {"Alice": "127.77.11.7", "Bob": "127.77.22.9"}
STRANGERS = ["+12025550123", "+442071838750", "+4915187654321"]
"""In Alice's address book, and no members."""
BOOK_NAMES = ["Bobby from the climbing hall", "Aunt Hildegard", "Locksmith at the corner", "Dr. Wunderlich"]
HOOKS = Path(__file__).with_name("hooks.mjs")
FULL_NAMES = {"Alice": "Alice Demirkan-Vogt", "Bob": "Bob Lindqvist-Okafor"}


class Week:
    """One relay, two people, and what was recorded so far. `tampered`: how their clients betray (hooks.mjs), if they do."""

    def __init__(self, relay: RelayProcess, directory: Path, tampered: str | None) -> None:
        self.relay = relay
        self._directory = directory
        self._tampered = tampered
        host, port = relay.listener.getsockname()
        self._recorders = {who: Recorder(who, ADDRESSES[who], (host, port)) for who in NUMBERS}
        self.phones: dict[str, Phone] = {}
        self.accounts: dict[str, str] = {}
        self._made: list[Phone] = []
        self.salt = b""
        self.said: list[str] = []
        self._dumps: dict[str, dict[str, str]] = {}
        self._files: dict[str, bytes] = {}
        self._latest: dict[str, bytes] = {}
        self._refused: dict[str, int] = {}

    def close(self) -> None:
        for phone in self._made:
            phone.close()
        for recorder in self._recorders.values():
            recorder.close()

    # -- what happens

    def buys_a_phone(self, who: str) -> Phone:
        """An empty one, in place of the one there was."""
        tampered = self._tampered
        self.phones[who] = Phone(
            self._directory / f"{who} {len(self._made)}",
            hook=None if tampered is None else HOOKS,
            environ=None if tampered is None else {"BETRAYAL": tampered},
        )
        self._made.append(self.phones[who])
        return self.phones[who]

    def invite(self, who: str) -> str:
        """An invite as `who` gets it: it leads through their recorder."""
        (link,) = self.relay.invite(1)
        fragment = parse_qs(urlsplit(link).fragment)
        self.salt = _unb64(fragment["s"][0])
        return link.replace(self.relay.url, self._recorders[who].url)

    def join(self) -> None:
        for who in NUMBERS:
            request = {"invite": self.invite(who), "name": FULL_NAMES[who], "number": NUMBERS[who]}
            self.accounts[who] = self.buys_a_phone(who).call("join", request)["account"]
        self.look("both have joined with their numbers")

    def discover(self) -> None:
        numbers = [NUMBERS["Bob"], *STRANGERS]
        book = [{"number": number, "name": name} for number, name in zip(numbers, BOOK_NAMES, strict=True)]
        found = [one["peer"] for one in self.phones["Alice"].call("discover", book)]
        if found != [self.accounts["Bob"]]:
            raise PhoneFailed("not_found", f"Alice found {found}")
        self.look("Alice has asked who of her address book is here")

    def write(self, who: str, to: str, text: str) -> None:
        """Waits until the relay has it."""
        phone, peer = self.phones[who], self.accounts[to]
        self.said.append(text)
        message = phone.call("send", peer, {"text": text, "quotes": None})
        states = lambda: {one["id"]: one["status"] for one in _page(phone, peer)}  # noqa: E731
        phone.until("the relay has it", lambda: states()[message] not in ("queued", "failed"))

    def write_by_number(self, text: str) -> None:
        """Alice, who knows nothing of Bob but his number; Bob is away."""
        self.phones["Alice"].call("start")
        self.write("Alice", "Bob", text)
        self.look("Alice has written to Bob, who is away")

    def talk(self, count: int) -> None:
        """To and fro, both online; each sees the other type, which goes over the lane of call signals."""
        for who in NUMBERS:
            self.phones[who].call("start")
        alice, bob = self.phones["Alice"], self.phones["Bob"]
        bob.until("the stranger's message is there", lambda: self.said[0] in bob.texts(self.accounts["Alice"]))
        bob.call("acceptRequest", self.accounts["Alice"])
        for n in range(count):
            for writer, reader in (("Bob", "Alice"), ("Alice", "Bob")):
                self.see_typing(writer, reader)
                text = f"{writer} tells a secret, the {n}th of many"
                self.write(writer, reader, text)
                phone, peer = self.phones[reader], self.accounts[writer]
                phone.until(f"{reader} reads it", lambda p=phone, q=peer, t=text: t in p.texts(q))
        self.said += [(reaction := "we shall meet under the plane tree")]
        quoted = _page(alice, self.accounts["Bob"])[-1]["id"]
        alice.call("send", self.accounts["Bob"], {"text": reaction, "quotes": quoted})
        bob.until("a quote", lambda: reaction in bob.texts(self.accounts["Alice"]))
        self.look("they have talked")

    def see_typing(self, writer: str, reader: str) -> None:
        """A sealed signal, as calls send them."""
        seeing, peer = self.phones[reader], self.accounts[writer]
        self.phones[writer].call("setTyping", self.accounts[reader], True)
        if seeing.call("conversation", peer)["request"]:
            return
        seeing.until(f"{reader} sees {writer} type", lambda: seeing.call("conversation", peer)["typing"])

    def phone_call(self) -> None:
        """Bob calls Alice: offer, answer, candidates and hang-up, sealed, over the lane of signals. Their media go directly."""
        bob, alice = self.phones["Bob"], self.phones["Alice"]
        for phone in (bob, alice):
            phone.call("changeSettings", {"directCalls": True})
        call = bob.call("startCall", self.accounts["Alice"])["id"]
        state = lambda phone: (phone.call("call") or {}).get("state")  # noqa: E731
        alice.until("it rings", lambda: state(alice) == "ringing")
        self.look("Alice's phone rings")
        alice.call("answerCall", call)
        bob.until("they hear each other", lambda: state(bob) == "connected")
        bob.call("endCall", call)
        alice.until("it is over", lambda: state(alice) in ("ended", None))
        self.look("Bob has called Alice")

    def block(self) -> None:
        """Bob shuts Alice out: his access key changes at the relay. Later he lets her in again, and tells her the new one."""
        bob, alice = self.phones["Bob"], self.accounts["Alice"]
        before = self._access_hash("Bob")
        bob.call("block", alice)
        bob.until("the relay has another key", lambda: self._access_hash("Bob") != before)
        self.look("Bob has blocked Alice")
        bob.call("unblock", alice)
        self.write("Bob", "Alice", "sorry, that was a mistake of mine")
        self.look("Bob has let Alice in again")

    def recover(self) -> None:
        """Alice's phone is gone. She comes back by her number and the code on paper, finds Bob again, and writes."""
        code = self.phones["Alice"].call("recoveryCode")
        phone = self.buys_a_phone("Alice")
        request = {
            "invite": self.invite("Alice"),
            "name": FULL_NAMES["Alice"],
            "account": None,
            "number": NUMBERS["Alice"],
        }
        back = phone.call("recover", {**request, "recoveryCode": code})
        if back["account"] != self.accounts["Alice"]:
            raise PhoneFailed("another_account", back["account"])
        self.look("Alice has recovered her account on a new phone")
        self.discover()
        phone.call("start")
        self.write("Alice", "Bob", "this is me, under a new key")
        self.look("Alice has written under her new identity")

    def leave(self) -> None:
        """Bob goes, with everything."""
        self.phones["Bob"].call("deleteAccount")
        self.look("Bob has deleted his account")

    def _access_hash(self, who: str) -> str:
        (row,) = [row for row in trio.run(self._dump)["accounts"].splitlines() if self.accounts[who] in row]
        return row.split(",")[6]

    def try_logins_on_the_anonymous_lane(self) -> None:
        """What our clients never do: each anonymous call with Alice's login. Straight to the relay, so it is nobody's traffic."""
        bearer = self._login("Alice")
        tokens = json.dumps({"tokens": [_b64(bytes([n]) * 32) for n in range(100)]}).encode()
        for method, path, body in (
            ("GET", "/v1/relay", None),
            ("POST", f"/v1/prekeys/{self.accounts['Bob']}/take", b""),
            ("POST", "/v1/discovery/lookup", tokens),
            ("GET", "/v1/post", None),
        ):
            headers = {"Authorization": bearer, "Access-Key": _b64(bytes(16)), "Content-Type": "application/json"}
            if path == "/v1/post":
                headers |= {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
                headers["Sec-WebSocket-Key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
            # Not by urllib, which says `Connection: close` whatever it is told, and so asks for no WebSocket.
            connection = http.client.HTTPConnection(urlsplit(self.relay.url).netloc, timeout=20)
            with closing(connection):
                connection.request(method, path, body, headers)
                self._refused[f"{method} {path}"] = connection.getresponse().status

    # -- what is recorded

    def look(self, step: str) -> None:
        """Dumps every table and keeps every file as it is now: what is deleted later was there once."""
        self._dumps[step] = trio.run(self._dump)
        for name, content in read_files(Path(self.relay.environ["SOTTOVOCE_VAR_DIRECTORY"])).items():
            if fresh := _what_is_new(self._latest.get(name, b""), content):
                self._files[f"{name} after '{step}'"] = fresh
            self._latest[name] = content

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
        account, secrets, token = self.accounts.get(who, ""), [], b""
        for connection in self._recorders[who].connections:
            for request in requests_of(connection):
                login = request.headers.get("authorization", "")
                if login.startswith("Bearer "):
                    secrets.append(_unb64(login.partition(".")[2]))
                if request.path in ("/v1/accounts", "/v1/accounts/recover"):
                    body = json.loads(request.body)
                    secrets += [_unb64(body["identity_key"]), _unb64(body["token_hash"])]
                    token = _unb64(body.get("phone_token") or "") or token
        return Somebody(who, NUMBERS[who], ADDRESSES[who], account, tuple(dict.fromkeys(secrets)), token)

    def _login(self, who: str) -> str:
        """The last one that they showed."""
        sent = [request for one in self._recorders[who].connections for request in requests_of(one)]
        shown = [request.headers.get("authorization", "") for request in sent]
        return [login for login in shown if login.startswith("Bearer ")][-1]


@contextmanager
def week(
    *, application: str = "relay.app:app", environ: dict[str, str] | None = None, tampered: str | None = None
) -> Iterator[Week]:
    """A fresh relay, and two people who have not joined yet."""
    with (
        temporary_directory() as directory,
        running_relay(directory, address=RELAY_ADDRESS, application=application, extra_environ=environ) as relay,
    ):
        told = Week(relay, directory, tampered)
        try:
            yield told
        finally:
            told.close()


_PAGE = 8192  # PostgreSQL's


def _what_is_new(before: bytes, now: bytes) -> bytes:
    """The pages that changed, each with the one before it, since a record may begin there."""
    if before == now:
        return b""
    changed = [at for at in range(0, len(now), _PAGE) if now[at : at + _PAGE] != before[at : at + _PAGE]]
    wanted = sorted({page for at in changed for page in (max(0, at - _PAGE), at)})
    return b"".join(now[at : at + _PAGE] for at in wanted)


def _page(phone: Phone, peer: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = phone.call("messages", peer, {"before": None, "limit": 50})["messages"]
    return messages


def _b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def tell(told: Week, say: Callable[[str], None] = lambda _text: None) -> None:
    """The whole week."""
    for what, happens in (
        ("Alice and Bob join, each with a number", told.join),
        ("Alice has an address book, and finds Bob in it", told.discover),
        ("Alice writes to Bob, who is away", lambda: told.write_by_number("is this the Bob of the climbing hall?")),
        ("they talk, and see each other type", lambda: told.talk(2)),
        ("logins are tried on the anonymous lane", told.try_logins_on_the_anonymous_lane),
        ("Bob calls Alice", told.phone_call),
        ("Bob blocks Alice, and lets her in again", told.block),
        ("Alice loses her phone and comes back by her recovery code", told.recover),
        ("Bob deletes his account", told.leave),
    ):
        say(what)
        happens()
