"""Every operation of the OpenAPI document, with generated good and bad input, in every role: no server error, no status
and no body that the document does not promise."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.e2e.installation import Ams, market
from tests.emulators.issuer import Issuer

EXAMPLES_PER_OPERATION = 6
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ROLES = ("nobody", "consumer", "merchant", "admin", "key")


@dataclass
class Target:
    ams: Ams
    headers: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder: Path = tmp_path_factory.mktemp("schemathesis")
    with Issuer() as issuer:
        ams = Ams(
            folder / "data",
            AMS_OIDC_ISSUERS=json.dumps([issuer.setting]),
            AMS_ADMINS="admin@example.com",
            AMS_SECRET_KEY_PEPPER_V1="pepper",
            AMS_SECRET_PSEUDONYM_PEPPER="pepper",
        )
        keys = ams.seed(market("key_one"))
        ams.start()

        def signed_in(name: str) -> dict[str, str]:
            claims = {"email": f"{name}@example.com", "email_verified": True, "name": name}
            return {"Authorization": f"Bearer {issuer.token(name, **claims)}"}

        headers = {name: signed_in(name) for name in ("consumer", "merchant", "admin")}
        try:
            yield Target(ams, {**headers, "nobody": {}, "key": {"X-AMS-Key": keys["key_one"]}})
        finally:
            ams.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("role", ROLES)
def test_every_answer_is_one_that_the_document_promises(target: Target, role: str) -> None:
    schema = schemathesis.openapi.from_url(f"{target.ams.url}/api/v1/openapi.json")
    failures: list[str] = []
    operations = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        operations += 1

        @given(case=operation.as_strategy())
        @settings(
            max_examples=EXAMPLES_PER_OPERATION, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def answer_is_promised(case: schemathesis.Case) -> None:
            case.call_and_validate(headers=target.headers[role], checks=CHECKS)

        try:
            answer_is_promised()
        except Exception as error:  # noqa: BLE001 - every operation is tried, and all that failed is told
            failures.append(f"{operation.label}\n{error}")
    assert operations > 0
    assert not failures, "\n\n".join(failures)
