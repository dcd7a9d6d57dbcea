"""A relay with two mistakes that a fuzzer must find: a look-up that fails for some tokens, and a call that answers what it never announced."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from relay.accounts import AccessChange, Accounts
from relay.app import app
from relay.discovery import Discovery
from relay.errors import NumberTaken

__all__ = ["app"]


async def look_up(self: Discovery, phone_tokens: Sequence[bytes]) -> list[UUID | None]:
    raise LookupError


async def change_access(self: Accounts, account_id: UUID, change: AccessChange) -> None:
    raise NumberTaken


Discovery.look_up = look_up  # type: ignore[method-assign]
Accounts.change_access = change_access  # type: ignore[method-assign]
