"""The one place where errors become RFC 9457 documents."""

from http import HTTPStatus
from typing import Any

from shared.kernel.errors import FieldError, Problem

PROBLEM_CONTENT_TYPE = "application/problem+json"


def problem_document(problem: Problem, request_id: str) -> dict[str, Any]:
    """Make the body of a problem response. `errors` lists field and rule where a field is at fault."""
    document: dict[str, Any] = {
        "type": f"urn:ams:problem:{problem.code}",
        "title": _title(problem.status),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "request_id": request_id,
    }
    if problem.errors:
        document["errors"] = [{"field": error.field, "rule": error.rule} for error in problem.errors]
    return document


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def not_found() -> Problem:
    """Make the problem 404, also for what belongs to somebody else."""
    return Problem(404, "not_found", "There is no such thing, or it is not yours.")


def unavailable() -> Problem:
    """Make the problem 503 that a caller sees when something that AMS depends on did not answer."""
    detail = "A part of the platform is not available right now. Try again with the same event ids."
    return Problem(503, "service_unavailable", detail, headers={"Retry-After": "1"})


def invalid_field(field: str, rule: str) -> Problem:
    """Make the problem 400 `request_invalid` of a field that breaks a rule."""
    return Problem(400, "request_invalid", f"`{field}` {rule}.", errors=(FieldError(field, rule),))
