"""`python -m bench.load`: reads a job as one line of JSON, says what happens as lines of JSON.

Lines: {"event": "begin"} and {"event": "end"} around what is measured, {"event": "result", ...} or {"event": "error", "text": ...} last.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import sys
import traceback
from typing import Any

from bench.load.scenarios import SCENARIOS, Job


def say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def ask() -> str:
    return await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


async def run(job: Job) -> None:
    failed: list[str] = []

    def note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # What a callback raises would only be logged, and the run would wait for an answer that was dropped.
        failed.append(repr(context.get("exception") or context["message"]))
        task.cancel()

    asyncio.get_running_loop().set_exception_handler(note)
    task = asyncio.ensure_future(SCENARIOS[job["scenario"]](job, say, ask))
    try:
        result = await task
    except BaseException as error:
        text = failed[0] if failed else "".join(traceback.format_exception_only(error)).strip()
        say({"event": "error", "text": text})
        return
    say({"event": "result", **result})


def main() -> None:
    job: Job = json.loads(sys.stdin.readline())
    if job.get("core") is not None:
        os.sched_setaffinity(0, {job["core"]})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    gc.disable()  # a run is short, and a pause of ours would look like the server's
    try:
        from uvloop import new_event_loop
    except ImportError:  # enough for a test, and slower
        new_event_loop = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(run(job))


main()
