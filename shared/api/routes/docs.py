"""`/api/docs`: the API to read and to try, drawn by Swagger UI from the OpenAPI document. Nothing comes from elsewhere:
the assets are those of the package `fastapi-swagger`."""

from hashlib import sha256
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Header, Response

from shared.kernel.http.problems import not_found

router = APIRouter(include_in_schema=False)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>AMS API</title>
<link rel="stylesheet" href="/api/docs/swagger-ui.css">
<link rel="icon" type="image/png" href="/api/docs/favicon-32x32.png">
</head>
<body>
<noscript>This page needs JavaScript; the description itself is <a href="/api/v1/openapi.json">here</a>.</noscript>
<div id="api"></div>
<script src="/api/docs/swagger-ui-bundle.js"></script>
<script src="/api/docs/start.js"></script>
</body>
</html>
"""
_START = b"""SwaggerUIBundle({
  url: "/api/v1/openapi.json", dom_id: "#api", deepLinking: true, docExpansion: "none", filter: true,
  tryItOutEnabled: true, persistAuthorization: false, validatorUrl: null
});
"""
_ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}


@router.get("/docs")
async def page() -> Response:
    """The page itself."""
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "public, max-age=300"}
    return Response(_PAGE, media_type="text/html", headers=headers)


@router.get("/docs/{name}")
async def asset(name: str, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """A script or style of the page. Raises Problem 404."""
    if name == "start.js":
        data, content_type = _START, "text/javascript"
    elif name in _ASSETS:
        data, content_type = files("fastapi_swagger.resources").joinpath(name).read_bytes(), _ASSETS[name]
    else:
        raise not_found()
    tag = f'"{sha256(data).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "public, max-age=3600"}
    if if_none_match == tag:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=content_type, headers=headers)
