"""Members and HTTP as in tests/identity."""

from __future__ import annotations

from tests.identity.conftest import clock, http, invite_code, member, relay_keys, services, settings

__all__ = ["clock", "http", "invite_code", "member", "relay_keys", "services", "settings"]
