"""Every operation of the OpenAPI document, with generated good and bad input, in every role: no server error, no status
and no body that the document does not promise. Half of the time the path names something that is there."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.emulators.issuer import Issuer
from tests.support.host.installation import Ams

EXAMPLES_PER_OPERATION, ANSWER_S = 8, 60.0
GATEWAY_STATUSES = {502, 503, 504}


def no_fault(
    context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> bool | None:
    """A forwarded call may find no upstream: that is the merchant's fault, and the document says so."""
    if case.path.startswith("/api/consume/") and response.status_code in GATEWAY_STATUSES:
        return None
    return not_a_server_error(context, response, case)


CHECKS = [no_fault, status_code_conformance, content_type_conformance, response_schema_conformance]
ROLES = ("nobody", "consumer", "merchant", "admin", "key")
MARKET = {
    "merchants": [{"id": "mer_one", "slug": "one", "name": "One", "status": "active"}],
    "services": [{"id": "svc_one", "merchant_id": "mer_one", "slug": "ocr", "name": "OCR", "status": "active"}],
    "consumers": [
        {
            "id": "con_one",
            "name": "Consumer",
            "projects": [{"id": "prj_one", "name": "Project"}],
            "grants": [{"service": "ocr"}],
            "keys": [{"id": "key_one", "services": ["ocr"], "project": "prj_one"}],
        }
    ],
}


@dataclass
class Target:
    """`ids` are values for the parameters of a path that a role has to do with."""

    ams: Ams
    issuer: Issuer
    key: str
    ids: dict[str, dict[str, str]] = field(default_factory=dict)

    def headers(self, role: str) -> dict[str, str]:
        """Fresh ones: an operation may have ended the session."""
        if role == "nobody":
            return {}
        if role == "key":
            return {"X-AMS-Key": self.key}
        claims = {"email": f"{role}@example.com", "email_verified": True, "name": role}
        return {"Authorization": f"Bearer {self.issuer.token(role, **claims)}"}

    def call(self, role: str, method: str, path: str, body: object = None) -> dict[str, str]:
        token = self.headers(role)["Authorization"].removeprefix("Bearer ")
        status, answer = self.ams.call(
            method, f"/api/v1{path}", body=body, content_type="application/json", token=token
        )
        assert status < 300, answer
        fields: dict[str, str] = answer
        return fields


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
        keys = ams.seed(MARKET)
        ams.start()
        try:
            target = Target(ams, issuer, keys["key_one"])
            _populate(target)
            yield target
        finally:
            ams.close()


def _populate(target: Target) -> None:
    """A merchant with a service, a consumer with a project."""
    code = target.call("admin", "POST", "/admin/invites", {})["code"]
    target.call("merchant", "GET", "/me")
    wanted = {"invite_code": code, "slug": "shop", "name": "Shop"}
    merchant_id = target.call("merchant", "POST", "/merchant-registrations", wanted)["id"]
    target.call("admin", "POST", f"/admin/merchants/{merchant_id}/activate", {"reason": "x"})
    draft = {"slug": "shop-service", "name": "Service"}
    service_id = target.call("merchant", "POST", f"/merchants/{merchant_id}/services", draft)["id"]
    consumer_id = target.call("consumer", "GET", "/me")["consumer_id"]
    project_id = target.call("consumer", "POST", f"/consumers/{consumer_id}/projects", {"name": "P"})["id"]
    seeded = {
        "service_id": "svc_one",
        "merchant_id": "mer_one",
        "consumer_id": "con_one",
        "project_id": "prj_one",
        "key_id": "key_one",
        "slug": "ocr",
        "service": "ocr",
        "merchant": "one",
    }
    target.ids = {
        "nobody": seeded,
        "key": seeded,
        "admin": seeded,
        "merchant": {"merchant_id": merchant_id, "service_id": service_id},
        "consumer": {"consumer_id": consumer_id, "project_id": project_id, "service_id": "svc_one"},
    }


@pytest.mark.timeout(900)
@pytest.mark.parametrize("role", ROLES)
def test_every_answer_is_one_that_the_document_promises(target: Target, role: str) -> None:
    schema = schemathesis.openapi.from_url(f"{target.ams.url}/api/v1/openapi.json")
    failures: list[str] = []
    operations = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        operations += 1
        headers = target.headers(role)

        @given(case=operation.as_strategy(), is_known=st.booleans())
        @settings(
            max_examples=EXAMPLES_PER_OPERATION,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def answer_is_promised(case: schemathesis.Case, is_known: bool) -> None:
            if is_known:
                known = {name: value for name, value in target.ids[role].items() if name in case.path_parameters}
                case.path_parameters = {**case.path_parameters, **known}
            case.call_and_validate(headers=headers, checks=CHECKS, timeout=ANSWER_S)  # noqa: B023 - called before the next round

        try:
            answer_is_promised()
        except Exception as error:  # noqa: BLE001 - every operation is tried, and all that failed is told
            failures.append(f"{operation.label}\n{error}")
    assert operations > 0
    assert not failures, "\n\n".join(failures)
