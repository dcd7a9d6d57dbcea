"""docs/openapi.json, from the table of calls: `python -m relay.routes.openapi` prints it, and a test holds the file against it.

OpenAPI 3.1, whose schemas are JSON Schema (2020-12), which pydantic writes. docs/protocol.md is the law; this is for tools. The two sockets
are not in it, since OpenAPI has no words for them.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections import defaultdict
from importlib.metadata import version
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from relay.errors import BadRequest, RelayError
from relay.frames import B64, JsonDict
from relay.routes.anonymous import DISTRIBUTION
from relay.routes.http import CHALLENGES, RETRY_AFTER_S, Call, Lane, reason_phrase
from relay.routes.table import CALLS

_REF: Final = "#/components/schemas/{model}"
_SECURITY: Final[dict[Lane, list[JsonDict]]] = {
    Lane.BEARER: [{"bearer": []}],
    Lane.INVITE: [{"invite": []}],
    Lane.BEARER_OR_INVITE: [{"bearer": []}, {"invite": []}],
    Lane.NO_LOGIN: [],
    Lane.ANONYMOUS: [],
}
_SCHEMES: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "<account_id>.<secret>",
        "description": "The account id, a dot, and the 32 secret bytes of the token in base64url.",
    },
    "invite": {"type": "http", "scheme": "invite", "description": "`Authorization: Invite <code>`"},
}
_PROBLEM: Final[JsonDict] = {
    "description": "A problem document (RFC 9457). `code` is stable; `fields` names the places of a 400 that are wrong.",
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "fields": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["title", "status", "code", "detail"],
    "additionalProperties": False,
}


def document() -> JsonDict:
    """The whole document."""
    wanted: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = []
    for call in CALLS:
        if call.request is not None:
            wanted.append((call.request, "validation"))
        if call.response is not None:
            wanted.append((call.response, "serialization"))
    refs, definitions = models_json_schema(list(dict.fromkeys(wanted)), ref_template=_REF)
    paths: defaultdict[str, JsonDict] = defaultdict(dict)
    for call in CALLS:
        paths[call.path][call.method.lower()] = _operation(call, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sottovoce relay",
            "version": version(DISTRIBUTION),
            "summary": "The HTTP calls of a relay. The two WebSocket calls, and what all of it means: docs/protocol.md.",
            "license": {"name": "AGPL-3.0-only", "identifier": "AGPL-3.0-only"},
        },
        "servers": [{"url": "http://127.0.0.1:8000", "description": "a relay on this machine"}],
        "paths": dict(paths),
        "components": {
            "schemas": {"Problem": _PROBLEM, **definitions["$defs"]},
            "responses": {name: failure for call in CALLS for name, failure in _failures(call).values()},
            "securitySchemes": _SCHEMES,
        },
    }


def _operation(call: Call, refs: Any) -> JsonDict:
    said = inspect.getdoc(call.does) or ""
    operation: JsonDict = {
        "operationId": f"{call.does.__module__.rpartition('.')[2]}.{call.does.__name__}",
        "tags": ["anonymous lane" if call.lane is Lane.ANONYMOUS else "identified lane"],
        "summary": said.partition("\n")[0],
        "security": _SECURITY[call.lane],
        "parameters": [*_path_parameters(call), *_header_parameters(call)],
        "responses": {str(int(call.status)): _success(call, refs)}
        | {status: {"$ref": f"#/components/responses/{name}"} for status, (name, _) in _failures(call).items()},
    }
    if call.request is not None:
        body = {"required": True, "content": {"application/json": {"schema": refs[call.request, "validation"]}}}
        operation["requestBody"] = body
    return operation


def _path_parameters(call: Call) -> list[JsonDict]:
    names = [part.strip("{}") for part in call.path.split("/") if part.startswith("{")]
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}} for name in names
    ]


def _header_parameters(call: Call) -> list[JsonDict]:
    return [
        {"name": name, "in": "header", "required": True, "schema": B64(size).json_schema()}
        for name, size in call.header_bytes.items()
    ]


def _success(call: Call, refs: Any) -> JsonDict:
    answer: JsonDict = {"description": call.status.phrase}
    if call.response is not None:
        answer["content"] = {"application/json": {"schema": refs[call.response, "serialization"]}}
    return answer


def _failures(call: Call) -> dict[str, tuple[str, JsonDict]]:
    """By status: the name under which the answer is shared by all calls that have it, and the answer."""
    by_status: defaultdict[int, list[type[RelayError]]] = defaultdict(list)
    for error in call.all_errors:
        by_status[error.status].append(error)
    return {
        str(status): (".".join((str(status), *sorted(error.code for error in errors))), _failure(status, errors))
        for status, errors in sorted(by_status.items())
    }


def _failure(status: int, errors: list[type[RelayError]]) -> JsonDict:
    codes = sorted(error.code for error in errors)
    narrowed: JsonDict = {"code": {"enum": codes}, "status": {"const": status}}
    required = ["fields"] if errors == [BadRequest] else []
    schema = {"allOf": [{"$ref": _REF.format(model="Problem")}, {"properties": narrowed, "required": required}]}
    headers: JsonDict = {}
    if status in RETRY_AFTER_S:
        headers["Retry-After"] = {"required": True, "schema": {"type": "string", "pattern": "^[1-9][0-9]*$"}}
    if challenges := sorted(CHALLENGES[code] for code in codes if code in CHALLENGES):
        headers["WWW-Authenticate"] = {"required": True, "schema": {"enum": challenges}}
    described = f"{reason_phrase(status)}: " + ", ".join(f"`{code}`" for code in codes)
    answer: JsonDict = {"description": described, "content": {"application/problem+json": {"schema": schema}}}
    return answer | ({"headers": headers} if headers else {})


def main() -> None:
    sys.stdout.write(json.dumps(document(), indent=2) + "\n")


if __name__ == "__main__":
    main()
