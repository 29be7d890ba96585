"""Problems as documents of RFC 9457."""

from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.problems import problem_document, unavailable


def test_a_problem_becomes_an_rfc_9457_document():
    problem = Problem(422, "event_invalid", "`id` is required.", errors=(FieldError("id", "is required"),))
    assert problem_document(problem, "req_1") == {
        "type": "urn:ams:problem:event_invalid",
        "title": "Unprocessable Entity",
        "status": 422,
        "code": "event_invalid",
        "detail": "`id` is required.",
        "request_id": "req_1",
        "errors": [{"field": "id", "rule": "is required"}],
    }


def test_a_problem_of_no_field_lists_none_and_an_odd_status_has_a_title():
    document = problem_document(Problem(499, "gone", "Gone."), "req_1")
    assert "errors" not in document
    assert document["title"] == "Error"


def test_what_is_unavailable_is_a_503_to_be_tried_again():
    assert (unavailable().status, unavailable().headers["Retry-After"]) == (503, "1")
