"""The portal's static files, for paths that no function covers."""

import posixpath
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from scripts.host.http.exchange import Exchange
from shared.kernel.errors import Problem

IMMUTABLE_S = 365 * 24 * 3600
"""The bundler puts a hash of the content into the names below assets/, so a name never changes its content."""


class StaticSite:
    """Serves the files of `directory`. A path without a file and without an extension is one of the portal's own pages,
    which its index.html draws in the browser. Names that start with a dot are never served."""

    def __init__(self, directory: Path) -> None:
        self._files = StaticFiles(directory=directory, html=False)

    async def serve(self, exchange: Exchange, raw_path: bytes) -> None:
        """Serve the file of a path. Raises Problem 404, 405."""
        path = unquote(raw_path.decode("ascii"))
        scope: dict[str, Any] = {
            "type": "http",
            "method": exchange.method,
            "path": path,
            "root_path": "",
            "headers": exchange.headers,
            "query_string": b"",
            "http_version": exchange.scope.get("http_version", "1.1"),
        }
        name = posixpath.normpath(path.lstrip("/") or "index.html")
        if name.startswith(".") or "/." in name:
            raise _not_found()
        response = await self._find(name, scope)
        response.headers["x-content-type-options"] = "nosniff"
        is_asset = name.startswith("assets/")
        response.headers["cache-control"] = f"public, max-age={IMMUTABLE_S}, immutable" if is_asset else "no-cache"
        exchange.scope = scope  # type: ignore[assignment]  # the keys that a file response reads
        await response(scope, exchange.receive, exchange.send)  # type: ignore[arg-type]  # uvicorn's types for the same messages

    async def _find(self, name: str, scope: dict[str, Any]) -> Response:
        try:
            return await self._files.get_response(name, scope)
        except HTTPException as error:
            if error.status_code == 405:
                problem = "This path takes GET and HEAD."
                raise Problem(405, "method_not_allowed", problem, headers={"Allow": "GET, HEAD"}) from None
            if "." in name.rpartition("/")[2]:
                raise _not_found() from None
        try:
            return await self._files.get_response("index.html", scope)
        except HTTPException:
            raise _not_found() from None


def _not_found() -> Problem:
    return Problem(404, "not_found", "There is nothing at this path.")


def find_site(root: Path) -> StaticSite | None:
    """Find the built portal of the project at `root`, if there is one; its sources are not for the public."""
    folder = root / "portal-static"
    directory = folder / "dist" if (folder / "package.json").exists() else folder
    return StaticSite(directory) if (directory / "index.html").is_file() else None
