"""Tests against the relay as operators run it: the `hypercorn` command, real sockets, a real PostgreSQL."""
