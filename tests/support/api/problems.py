"""What is looked at in a refusal."""

import httpx


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["request_id"] == answer.headers["x-ams-request-id"]
    return answer.status_code, document["code"]
