"""Requests that schemathesis makes up from docs/openapi.json, against a real relay: no 500, and no answer that is not documented."""
