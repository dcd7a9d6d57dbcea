"""What every dialect of the load generator can do: be a sender, be a recipient."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

Ids = Sequence[str]
BODY_BYTES = 1024

_HEX = "89ab"


def new_id() -> str:
    """A UUIDv7 with its time rounded down to the hour, as the protocol wants it."""
    hour_ms = int(time.time()) // 3600 * 3600 * 1000
    stamp, noise = f"{hour_ms:012x}", os.urandom(10).hex()
    return f"{stamp[:8]}-{stamp[8:]}-7{noise[:3]}-{_HEX[ord(noise[3]) & 3]}{noise[4:7]}-{noise[7:19]}"


class Sender(ABC):
    """Posts to one recipient. `on_posted` is called when the server says that messages are stored."""

    def __init__(self, target: dict[str, Any], person: dict[str, Any], on_posted: Callable[[Ids], None]) -> None:
        self.target, self.person, self.on_posted = target, person, on_posted

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    def post(self, ids: Ids) -> None:
        """Posts so many messages at once: in one frame if the dialect has such a thing, in one write in any case."""

    @abstractmethod
    async def close(self) -> None: ...


class Recipient(ABC):
    """Receives and acknowledges at once. `on_delivered` is called before the acknowledgement is written."""

    def __init__(self, target: dict[str, Any], person: dict[str, Any], on_delivered: Callable[[Ids], None]) -> None:
        self.target, self.person, self.on_delivered = target, person, on_delivered

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...
