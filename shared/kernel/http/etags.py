"""ETag and If-Match (RFC 9110): the entity tag on the wire is the document's own, in quotes."""

from shared.kernel.errors import Problem


def entity_tag(etag: str) -> str:
    """Write a document's ETag as the `ETag` header says it."""
    return f'"{etag.strip(chr(34))}"'


def check_match(if_match: str | None, etag: str) -> None:
    """Check the header `If-Match`: raises Problem 428 `precondition_required` without it, 412 `precondition_failed`
    when none of its tags is the current one. `*` matches whatever is there."""
    if if_match is None:
        raise Problem(
            428, "precondition_required", "Send `If-Match` with the ETag that you read, so no change is lost."
        )
    tags = {tag.strip() for tag in if_match.split(",")}
    if "*" not in tags and entity_tag(etag) not in tags:
        raise Problem(412, "precondition_failed", "It was changed since you read it. Read it again, then repeat.")
