"""The rim of HTTP: sizes, addresses, methods, failures, and what is said of them in answers and logs."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from uuid import UUID

import pytest
import trio
from pydantic import BaseModel

from relay.database import Database
from relay.errors import DatabaseUnavailable, PeerGone, RateLimited, RelayError
from relay.frames import to_b64
from relay.prekeys import PrekeyUpload
from relay.routes.http import BODY_WITHIN_S, MAX_BODY_BYTES, Lane, problem
from relay.routes.table import CALLS
from relay.services import Services
from tests.identity.conftest import Http, serve
from tests.identity.members import Member, upload_body

JSON = {"Content-Type": "application/json"}


# -- sizes -----------------------------------------------------------------------------------------------------------


async def test_the_largest_honest_bodies_fit(http: Http, invite_code: str) -> None:
    member = Member(phone_token=b"p" * 32, number_key=b"n" * 16)
    body = member.registration_body(one_time=0)
    ids = range(0xFFFFFF - 99, 0x1000000)
    body |= upload_body(PrekeyUpload(prekeys=member.prekeys(*ids), kyber_prekeys=member.kyber_prekeys(*ids)))
    data = json.dumps(body).encode()  # with a blank behind each comma and colon
    assert len(data) > MAX_BODY_BYTES * 0.85
    answer = await http("POST", "/v1/accounts", auth=f"Invite {invite_code}", data=data, headers=JSON)
    assert answer.status == 201


async def test_a_body_over_the_calls_limit_is_refused(http: Http, member: Member) -> None:
    for method, path, size in [
        ("PUT", "/v1/keys", MAX_BODY_BYTES + 1),
        ("PUT", "/v1/keys", 4 * MAX_BODY_BYTES),
        ("PUT", "/v1/account/access", 1025),
        ("GET", "/v1/account", 1),
    ]:
        for announced in (True, False):
            answered = await _stream(http, method, path, member.bearer, [b" " * size], announced)
            assert answered == (413, "too_large"), (path, size, announced)


async def test_a_body_that_is_announced_too_large_is_not_waited_for(http: Http, member: Member) -> None:
    headers = {"Authorization": member.bearer, "Content-Length": "1025", **JSON}
    async with http._client.request("/v1/account/access", method="PUT", headers=headers) as connection:
        with trio.fail_after(5):
            await connection.receive()
        assert connection.status_code == 413
        await connection.disconnect()


async def test_a_body_that_comes_in_pieces_is_counted_as_it_comes(http: Http, member: Member) -> None:
    pieces = [b" " * 600] * 3
    assert await _stream(http, "PUT", "/v1/account/access", member.bearer, pieces, False) == (413, "too_large")
    assert (await _stream(http, "PUT", "/v1/account/access", member.bearer, [b" " * 600, b"{", b"}"], False))[0] == 204


async def test_who_may_not_ask_is_answered_before_the_body_is_read(http: Http) -> None:
    """The body never comes to its end."""
    headers = {"Authorization": "Invite " + "0" * 24, "Content-Length": str(MAX_BODY_BYTES), **JSON}
    async with http._client.request("/v1/accounts", method="POST", headers=headers) as connection:
        await connection.send(b"{")
        with trio.fail_after(5):
            await connection.receive()
        assert connection.status_code == 401
        await connection.disconnect()


async def _stream(
    http: Http, method: str, path: str, auth: str, pieces: list[bytes], announced: bool
) -> tuple[int, str | None]:
    headers = {"Authorization": auth, **JSON}
    if announced:
        headers["Content-Length"] = str(sum(map(len, pieces)))
    async with http._client.request(path, method=method, headers=headers) as connection:
        for piece in pieces:
            await connection.send(piece)
        await connection.send_complete()
    response = await connection.as_response()
    data = await response.get_data()
    return response.status_code, json.loads(data)["code"] if data else None


async def test_a_body_that_does_not_come_is_not_waited_for(
    services: Services, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert BODY_WITHIN_S == 60
    monkeypatch.setattr("relay.routes.http.BODY_WITHIN_S", 0.05)
    client = serve(services)._client
    headers = {"Authorization": member.bearer, **JSON}
    async with client.request("/v1/account/access", method="PUT", headers=headers) as connection:
        await connection.send(b"{")
        with trio.fail_after(5):
            answer = await connection.receive()
        assert connection.status_code == 400
        assert json.loads(answer)["fields"] == ["body"]
        await connection.disconnect()


# -- addresses and methods -------------------------------------------------------------------------------------------


NOWHERE = [
    "/",
    "/v1",
    "/v1/account/",
    "/v1//account",
    "/v1/prekeys/not-a-uuid/take",
    "/v1/prekeys/8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a01/take/",
    "/static/x",
    "/v1/%2e%2e/account",
]


async def test_an_unknown_address_is_not_found(http: Http) -> None:
    for path in NOWHERE:
        answer = await http("GET", path)
        assert (answer.status, answer.code) == (404, "not_found"), path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["cache-control"] == "no-store"


async def test_a_wrong_method_is_told_the_right_ones(http: Http) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"):
        answer = await http(method, "/v1/relay")
        assert (answer.status, answer.code, answer.headers["allow"]) == (405, "method_not_allowed", "GET, HEAD"), method


async def test_one_address_with_two_methods(http: Http, member: Member) -> None:
    assert (await http("POST", "/v1/account")).headers["allow"] == "DELETE, GET, HEAD"
    assert (await http("GET", "/v1/account", auth=member.bearer)).status == 200
    assert (await http("DELETE", "/v1/account", auth=member.bearer)).status == 204


# -- answers ---------------------------------------------------------------------------------------------------------


async def test_no_answer_is_to_be_stored_anywhere(http: Http, member: Member) -> None:
    for answer in (
        await http("GET", "/v1/relay"),
        await http("GET", "/v1/account", auth=member.bearer),
        await http("PUT", "/v1/account/access", auth=member.bearer, json={}),
        await http("GET", "/v1/account"),
        await http("GET", "/nowhere"),
    ):
        assert answer.headers["cache-control"] == "no-store"
        assert "set-cookie" not in answer.headers
        assert "location" not in answer.headers


def _all_errors() -> list[type[RelayError]]:
    return sorted({error for call in CALLS for error in call.all_errors}, key=lambda error: error.code)


@pytest.mark.parametrize("error", _all_errors(), ids=lambda error: error.code)
async def test_every_error_is_a_problem_document(error: type[RelayError]) -> None:
    response = problem(error())
    document = json.loads(await response.get_data())
    assert response.content_type == "application/problem+json"
    assert response.status_code == document["status"] == error.status
    assert document["code"] == error.code
    # Older Pythons have older words for these two.
    renamed = {413: "Content Too Large", 422: "Unprocessable Content"}
    assert document["title"] == renamed.get(error.status, HTTPStatus(error.status).phrase)
    assert ("fields" in document) == (error.code == "bad_request")
    assert ("Retry-After" in response.headers) == (error.status in (429, 503))
    assert ("WWW-Authenticate" in response.headers) == (error.status == 401)


async def test_retry_after_is_the_errors_own_if_it_has_one() -> None:
    assert problem(RateLimited(retry_after_s=7)).headers["Retry-After"] == "7"


async def test_errors_from_inside_look_alike_from_outside() -> None:
    assert await problem(PeerGone()).get_data() == await problem(RelayError()).get_data()


# -- failures --------------------------------------------------------------------------------------------------------


class Broken:
    """A database that answers everything with one error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def fetchval(self, *_: object) -> Any:
        raise self.error

    fetchrow = fetch = execute = fetchval


async def test_without_a_database_the_process_is_up_but_not_ready(services: Services) -> None:
    http = serve(replace(services, database=Broken(DatabaseUnavailable())))  # type: ignore[arg-type]
    assert (await http("GET", "/healthz")).status == 200
    answer = await http("GET", "/readyz")
    assert (answer.status, answer.code) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0


async def test_with_a_database_it_is_ready(http: Http) -> None:
    assert (await http("GET", "/readyz")).json == {"status": "ready"}


@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_failure_inside_says_nothing_to_anybody(
    services: Services, database: Database, member: Member, caplog: pytest.LogCaptureFixture, wrapped: bool
) -> None:
    secret = "what nobody should read"
    error: Exception = ValueError(secret)
    if wrapped:
        error = ExceptionGroup(secret, [error])

    async def prekeys_low(_account_id: UUID) -> None:
        raise error

    http = serve(replace(services, prekeys_low=prekeys_low))
    with caplog.at_level(logging.DEBUG):
        answer = await http.take(member.account_id, member.contact_key)
    assert (answer.status, answer.code) == (500, "internal")
    assert secret not in answer.raw.decode()
    logged = [record.getMessage() for record in caplog.records if record.name.startswith(("relay", "quart"))]
    assert len(logged) == 1
    assert logged[0].startswith("POST /v1/prekeys/{account_id}/take: ValueError (test_http_edges.py:")


async def test_nothing_of_a_request_is_logged(http: Http, invite_code: str, caplog: pytest.LogCaptureFixture) -> None:
    member = Member()
    body = member.registration_body()
    with caplog.at_level(logging.DEBUG):
        answer = await http("POST", "/v1/accounts", auth=f"Invite {invite_code}", json=body)
        member.account_id = UUID(answer.json["account_id"])
        await http("GET", "/v1/account", auth=member.bearer)
        await http("GET", "/v1/account", auth=member.bearer + "x")
        await http.take(member.account_id, member.contact_key)
        await http.take(member.account_id, bytes(16))
        await http("PUT", "/v1/keys", auth=member.bearer, json={"colour": "red"})
        await http("GET", f"/nowhere/{member.account_id}")
    written = caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    for private in (
        invite_code,
        str(member.account_id),
        to_b64(member.secret),
        to_b64(member.contact_key),
        "127.0.0.1",
    ):
        assert private not in written


# -- the table -------------------------------------------------------------------------------------------------------


def test_the_table_is_complete_and_consistent() -> None:
    assert len({(call.method, call.path) for call in CALLS}) == len(CALLS)
    for call in CALLS:
        assert (call.does.__doc__ or "").strip(), call.path
        assert (call.request is None) == (call.max_body_bytes == 0), call.path
        assert (call.response is None) == (call.status == HTTPStatus.NO_CONTENT), call.path
        assert call.max_body_bytes <= MAX_BODY_BYTES
        assert Lane(call.lane.value) is call.lane
        for model in (call.request, call.response):
            if model is not None:
                assert issubclass(model, BaseModel)
                assert model.model_config["extra"] == "forbid"
                assert model.model_json_schema()["type"] == "object"
