"""A small app behind the edge, for tests: one route for each thing that an app can do to its connection.

Run as `hypercorn -k trio tests.edge.hostile_app:app`. The limits come from the environment, so that tests need not wait
for real ones. `/notes` tells what the handlers lived through, since the peers of interest cannot be told.
"""

from __future__ import annotations

import os
from collections import Counter

import trio
from quart import request, websocket
from quart_trio import QuartTrio

from relay import edge
from relay.errors import PeerGone, SlowReader

SECONDS = ("write_deadline_s", "head_deadline_s", "drain_grace_s")
LIMITS = {name: float(os.environ[name]) for name in SECONDS if name in os.environ}
COUNTS = {name: int(os.environ[name]) for name in ("max_message_bytes", "max_connections") if name in os.environ}


def create_app() -> QuartTrio:
    app = QuartTrio(__name__)
    here = edge.install(edge.EdgeSettings(**LIMITS, **COUNTS))  # type: ignore[arg-type]
    notes: Counter[str] = Counter()

    @app.get("/")
    async def hello() -> str:
        return f"{os.getpid()}"

    @app.get("/notes")
    async def read_notes() -> dict[str, int]:
        return dict(notes)

    @app.get("/tasks")
    async def count_tasks() -> str:
        return f"{trio.lowlevel.current_statistics().tasks_living}"

    @app.post("/length")
    async def length() -> str:
        return f"{len(await request.get_data())}"

    @app.get("/stream")
    async def stream() -> object:
        """A response without end."""

        async def chunks() -> object:
            while True:
                yield b"x" * 65536

        return chunks()

    @app.websocket("/echo")
    async def echo() -> None:
        while True:
            message = await websocket.receive()
            # Quart-Trio makes None of an empty binary message (React Native's ping() sends one).
            await websocket.send("nothing" if message is None else message)

    @app.websocket("/flood")
    async def flood() -> None:
        """Send without end to a peer that may not read, and note what that is told."""
        try:
            while True:
                await websocket.send(b"x" * 65536)
        except (SlowReader, PeerGone) as error:
            notes[type(error).__name__] += 1
            raise

    @app.websocket("/flood-cancelled")
    async def flood_cancelled() -> None:
        """The same, with a deadline of the app's own."""
        with trio.move_on_after(0.5):
            while True:
                await websocket.send(b"x" * 65536)
        notes["cancelled"] += 1

    @app.websocket("/stubborn")
    async def stubborn() -> None:
        """Keep sending when told to stop, until a send says that nobody is there."""
        with trio.CancelScope(shield=True):
            try:
                while True:
                    await websocket.send(b"x")
            except PeerGone:
                notes["stubborn heard PeerGone"] += 1

    @app.websocket("/absent-minded")
    async def absent_minded() -> None:
        """The same, but only after a while: by then the relay has long seen that the peer is gone."""
        await websocket.send(b"x")
        with trio.CancelScope(shield=True):
            await trio.sleep(0.7)
            try:
                while True:
                    await websocket.send(b"x")
            except PeerGone:
                notes["absent-minded heard PeerGone"] += 1

    @app.websocket("/raise")
    async def raise_() -> None:
        await websocket.receive()
        raise LookupError("a secret")

    @app.websocket("/raise-after-close")
    async def raise_after_close() -> None:
        await websocket.accept()
        await websocket.close(4409, "superseded")
        raise LookupError("a secret")

    @app.websocket("/return")
    async def return_() -> None:
        await websocket.accept()

    @app.websocket("/deaf")
    async def deaf() -> None:
        """Never read; end when asked by the clock."""
        await websocket.accept()
        await trio.sleep(1)
        notes["deaf ended"] += 1

    @app.websocket("/late")
    async def late() -> None:
        """Take a while to accept, then echo once."""
        await trio.sleep(0.3)
        await websocket.accept()
        await websocket.send(await websocket.receive())

    @app.websocket("/refuse")
    async def refuse() -> tuple[str, int]:
        return "no", 401

    @app.websocket("/session")
    async def session() -> None:
        """What a session does: wait for the stop and say goodbye with 1012."""
        await websocket.accept()
        await here.draining.wait()
        await websocket.close(1012, "draining")

    @app.websocket("/long-goodbye")
    async def long_goodbye() -> None:
        await websocket.accept()
        await here.draining.wait()
        await trio.sleep(0.7)
        await websocket.close(1012, "draining")

    return app


app = create_app()
