"""The relay's settings: one frozen model, read once from a TOML file and the environment.

Precedence: environment (`SOTTOVOCE_<NAME>`), then the file named by `SOTTOVOCE_CONFIG` (default `./sottovoce.toml`, if it is there),
then the defaults below. Units stand in the names. Everything has a default, so `hypercorn -k trio relay.app:app` alone works.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from relay.log_lines import LogFormat

PREFIX = "SOTTOVOCE_"
_TURN_URI = re.compile(r"turns?:(?:[\w.-]+|\[[0-9a-fA-F:]+\])(?::\d{1,5})?(?:\?transport=(?:udp|tcp))?")
_HOST = re.compile(r"(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?")
# Tor's rend-spec-v3, section 6: 35 bytes in base32, the last of which says 3.
_ONION_SERVICE = re.compile(r"[a-z2-7]{55}d\.onion(?::\d{1,5})?")
_Positive = Annotated[int, Field(gt=0)]
_Seconds = Annotated[float, Field(gt=0)]


class ConfigError(Exception):
    """A setting is unknown or out of bounds. The message names the setting and what it takes."""


class Settings(BaseModel):
    """All settings of a relay; the wire's own limits stand in relay/frames.py, since apps depend on them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # -- where things are --
    name: str = "sottovoce"
    public_url: str = "http://127.0.0.1:8000"
    """What invites and the Origin check are made of: where apps reach this relay."""
    var_directory: Path = Path("var")
    """Keys, and the embedded PostgreSQL when there is no database_url."""
    database_url: str | None = None
    """postgresql://... of a server of the operator's own; None starts a private one under var_directory."""

    apk_file: Path | None = None
    """The Android app, offered by the page behind invites."""
    log_format: LogFormat = "text"
    """Of the lines on standard error: text for people, or json, one object a line."""

    # -- sessions --
    ping_every_s: _Seconds = 25.0
    """Cloudflare drops a WebSocket that is idle for 100 s; mobile carriers forget a flow after 30 s and more."""
    answer_within_s: _Seconds = 10.0
    first_frame_within_s: _Seconds = 10.0
    write_deadline_s: _Seconds = 20.0
    goodbye_within_s: _Seconds = 0.1
    drain_grace_s: _Seconds = 2.0
    max_sessions: _Positive = 20_000
    """Open sessions of both kinds in one process; one more is refused with 4429."""
    in_flight_envelopes: _Positive = 256
    in_flight_bytes: _Positive = 4 * 1024 * 1024

    # -- the mailbox --
    mailbox_envelopes: _Positive = 1000
    mailbox_bytes: _Positive = 32 * 1024 * 1024
    mailbox_stranger_envelopes: _Positive = 100
    """Of them, at most this many that came under the number key."""
    envelope_ttl_s: _Positive = 30 * 86400
    signal_ttl_s: _Positive = 60
    batch_posts: _Positive = 512
    """Posts in one commit at most; also what bounds the memory of a batch (64 KiB each at most)."""
    waiting_posts: _Positive = 2048
    """Posts that wait for the next batch; past it, readers stop reading their sockets."""

    # -- rates, per recipient and node --
    posts_burst: _Positive = 60
    posts_per_s: _Seconds = 1.0
    post_bytes_burst: _Positive = 8 * 1024 * 1024
    post_bytes_per_s: _Seconds = 64 * 1024
    session_posts_per_s: _Seconds = 30.0
    takes_burst: _Positive = 30
    takes_per_hour: _Positive = 60
    """Bundles with one-time keys that one account gives out; past it the bundles come without."""
    evaluations_burst: Annotated[int, Field(ge=100)] = 1000
    """Numbers that one account may have evaluated at once: an address book, once."""
    evaluations_per_day: _Positive = 200
    """And after that. It is what makes trying all numbers hopeless for a member: a country would take thousands of years."""

    registrations_burst: _Positive = 100
    """Of one invite, at once."""
    registrations_per_hour: _Positive = 200
    recoveries_burst: _Positive = 10
    """Tries under one account id or phone token, whether there is such an account or not."""
    recoveries_per_hour: _Positive = 10

    # -- identity --
    certificate_ttl_s: Annotated[int, Field(gt=0, le=86400)] = 86400
    invite_ttl_s: _Positive = 7 * 86400

    # -- calls --
    turn_urls: str | None = None
    """`turn:` URIs (RFC 7065) of the TURN server, as apps reach it, separated by commas; None: no calls."""
    turn_ttl_s: _Positive = 12 * 3600
    turn_mints_burst: _Positive = 10
    turn_mints_per_day: _Positive = 24

    # -- push --
    push: bool = True
    """Whether the relay knocks at push services (UnifiedPush, Web Push) for members who are not connected. It is its only way out."""
    push_allowed_hosts: str = ""
    """Hosts of push services in a network of the operator's own, as host or host:port with commas between; https they need too."""

    # -- PostgreSQL --
    pool_connections: Annotated[int, Field(ge=2, le=100)] = 6
    database_timeout_s: _Seconds = 5.0

    @field_validator("push_allowed_hosts")
    @classmethod
    def _are_hosts(cls, value: str) -> str:
        for host in value.split(",") if value else ():
            if not _HOST.fullmatch(host.strip()):
                raise ValueError("write it like ntfy.example.org or ntfy.lan:8443, several with commas between")
        return value

    @property
    def push_hosts(self) -> tuple[str, ...]:
        """The hosts of push_allowed_hosts, one by one."""
        return tuple(host.strip() for host in self.push_allowed_hosts.split(",")) if self.push_allowed_hosts else ()

    @field_validator("turn_urls")
    @classmethod
    def _are_turn_uris(cls, value: str | None) -> str | None:
        for url in (value or "").split(",") if value is not None else ():
            if not _TURN_URI.fullmatch(url.strip()):
                raise ValueError("write it like turn:turn.example.org:3478?transport=udp, several with commas between")
        return value

    @property
    def turn_servers(self) -> tuple[str, ...]:
        """The TURN URIs, one by one; empty when there are none."""
        return tuple(url.strip() for url in self.turn_urls.split(",")) if self.turn_urls else ()

    @property
    def secrets_directory(self) -> Path:
        """Keys of this relay, each file 0600."""
        return self.var_directory / "secrets"


def is_onion_service(url: str) -> bool:
    """Whether the name in a URL is an onion service's of version 3. Such a name is a key, and the way there is encrypted without TLS."""
    return _ONION_SERVICE.fullmatch(urlsplit(url).netloc) is not None


def load_settings(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Reads the settings; `overrides` win over everything (tests, commands).

    Raises:
        ConfigError: with a line for each wrong setting that says where it came from and what it takes.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    named = environ.get(PREFIX + "CONFIG")
    path = Path(named) if named else Path("sottovoce.toml")
    if named or path.exists():
        try:
            values.update(tomllib.loads(path.read_text()))
        except FileNotFoundError:
            raise ConfigError(f"{PREFIX}CONFIG names {path}, and there is no such file") from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path} is not valid TOML: {error}") from None
    for field in Settings.model_fields:
        if (value := environ.get(PREFIX + field.upper())) is not None:
            values[field] = value
    values.update(overrides)
    try:
        return Settings(**values)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)]
        raise ConfigError("wrong settings:\n  " + "\n  ".join(lines)) from None
