"""The error tree of AMS. Every error that reaches a caller is one of these, with a stable `code`.

Exception
├── Problem                     an answer to the caller: RFC 9457 status, code, detail
│   └── (made by the functions and classes of the noun that refuses)
└── Unavailable                 infrastructure did not answer: retry, or 503 at the edge
    ├── DocumentsUnavailable    shared.platform.documents
    ├── EventsUnavailable       shared.platform.events
    ├── BlobsUnavailable        shared.platform.blobs
    ├── SearchUnavailable       shared.platform.search
    ├── SecretsUnavailable      shared.platform.secrets
    └── SpoolUnavailable        shared.platform.spool
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.kernel.problem_codes import ProblemCode


class Unavailable(Exception):
    """Something AMS depends on did not answer. Nothing may be assumed about the effect of the failed call."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field: `field` is a JSON path from the body's root (`data.requests`), `rule` says what it
    must be."""

    field: str
    rule: str


@dataclass(eq=False)
class Problem(Exception):
    """A refusal that a caller sees as `application/problem+json`.

    `code` has a row in docs/errors.md, which its type is made from, and never changes its meaning.
    `headers` go onto the response.
    """

    status: int
    code: ProblemCode
    detail: str
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(f"{self.status} {self.code}: {self.detail}")
