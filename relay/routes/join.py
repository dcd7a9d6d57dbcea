"""`/join`: the page behind an invite link. Anonymous, static, and without a request to anybody."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import trio
from quart import Blueprint, Response, request, send_file

from relay.errors import NotFound
from relay.pages import ASSETS, asset, join_pages, preferred, sha256_of
from relay.routes.http import problem

log = logging.getLogger("relay")

HEADERS: Final = {
    # Nothing but its own three files; nothing may frame it, and it may ask nobody.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), clipboard-read=()",
    "Cache-Control": "no-store",
}
_APK_TYPE: Final = "application/vnd.android.package-archive"


def join_routes(apk_file: Path | None) -> Blueprint:
    """The page, its three files, and the app if the operator offers it as `apk_file`."""
    blueprint = Blueprint("join", __name__)
    digest = _digest(apk_file)
    pages = join_pages(digest)
    assets = {name: asset(name) for name in ASSETS}

    @blueprint.get("/join")
    async def page() -> Response:
        accepted = ",".join(request.headers.getlist("Accept-Language"))
        language = preferred(accepted, request.args.get("lang"))
        return _answer(
            pages[language], "text/html; charset=utf-8", {"Content-Language": language, "Vary": "Accept-Language"}
        )

    @blueprint.get("/join/<name>")
    async def file(name: str) -> Response:
        if name in assets:
            return _answer(assets[name], ASSETS[name], {})
        if name == "sottovoce.apk" and apk_file is not None and digest is not None:
            path = str(await trio.Path(apk_file).absolute())
            response = await send_file(
                path, mimetype=_APK_TYPE, as_attachment=True, attachment_filename="sottovoce.apk"
            )
            response.headers.update(HEADERS)
            return response
        return problem(NotFound())

    return blueprint


def _digest(apk_file: Path | None) -> str | None:
    if apk_file is None:
        return None
    try:
        return sha256_of(apk_file)
    except OSError as error:
        log.warning("the app is not offered: apk_file: %s", error.strerror)
        return None


def _answer(body: bytes, content_type: str, headers: dict[str, str]) -> Response:
    response = Response(body, content_type=content_type)
    response.headers.update({**HEADERS, **headers})
    return response
