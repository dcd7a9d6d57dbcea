"""Loaded by schemathesis (SCHEMATHESIS_HOOKS): shows real logins and access keys with most requests, else all of them would end at the door.

FUZZ_LOGINS names a file with members, invites and a seed, written by tests/fuzz_http/run.py; FUZZ_ANSWERS one that takes a line an answer.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.generation import GenerationMode

_KNOWN: dict[str, Any] = json.loads(Path(os.environ["FUZZ_LOGINS"]).read_text())
_CHANCE = random.Random(_KNOWN["seed"])
_AS_IT_COMES = 0.2  # of the requests go out as they were made up


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    if _CHANCE.random() < _AS_IT_COMES:
        return
    member = _CHANCE.choice(_KNOWN["members"])
    path, method = case.operation.path, case.operation.method.upper()
    headers = case.headers if case.headers is not None else {}
    # What is meant to be wrong stays wrong.
    is_good = case.meta is None or case.meta.generation.mode is GenerationMode.POSITIVE
    if path == "/v1/accounts":
        headers["Authorization"] = f"Invite {_CHANCE.choice(_KNOWN['invites'])}"
        if is_good and _KNOWN["registrations"] and _CHANCE.random() < 0.6:  # no chance finds a signature
            headers["Authorization"], case.body = _KNOWN["registrations"].pop()
    elif path == "/v1/accounts/recover":
        if is_good and _KNOWN["recoveries"] and _CHANCE.random() < 0.6:
            case.body = _KNOWN["recoveries"].pop()
    elif path == "/v1/account" and method == "DELETE":
        if _KNOWN["leavers"] and _CHANCE.random() < 0.1:
            headers["Authorization"] = _KNOWN["leavers"].pop()
    elif path.endswith("/take") and is_good:
        # Of somebody else than those whose access keys are changed meanwhile.
        headers["Access-Key"] = _KNOWN["taken"]["access_key"]
        case.path_parameters = {**(case.path_parameters or {}), "account_id": _KNOWN["taken"]["account_id"]}
    elif case.operation.definition.raw.get("security"):
        headers["Authorization"] = member["bearer"]
        if (
            path.endswith("/evaluate") and is_good and _CHANCE.random() < 0.6
        ):  # no chance finds the encoding of an element
            case.body = {"elements": _KNOWN["elements"][: _CHANCE.randint(1, len(_KNOWN["elements"]))]}
    case.headers = headers


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    with Path(os.environ["FUZZ_ANSWERS"]).open("a") as answers:
        answers.write(f"{case.operation.method.upper()} {case.operation.path} {response.status_code}\n")
