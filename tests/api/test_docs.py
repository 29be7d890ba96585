"""The API's page and its description."""

import json

from tests.support.api.harness import Api
from tests.support.api.problems import problem


async def test_the_page_of_the_api_uses_only_its_own_assets(api: Api) -> None:
    page = await api.anonymous.get("/api/docs")
    assert page.status_code == 200
    assert "http" not in page.text.replace('lang="en"', "")
    for asset in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js", "favicon-32x32.png"):
        answer = await api.anonymous.get(f"/api/docs/{asset}")
        assert answer.status_code == 200
        again = await api.anonymous.get(f"/api/docs/{asset}", headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304
    assert problem(await api.anonymous.get("/api/docs/..%2f__init__.py")) == (404, "not_found")


async def test_the_description_is_json_and_names_actions(api: Api) -> None:
    document = json.loads((await api.anonymous.get("/api/v1/openapi.json")).text)
    assert document["paths"]["/api/v1/admin/settings"]["patch"]["x-ams-action"] == "settings.update"
    assert set(document["paths"]["/api/v1/admin/settings"]["patch"]["responses"]) >= {"400", "401", "403", "412", "428"}
