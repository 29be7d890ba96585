"""What a change leaves to be done: the base of all kinds of outbox tasks, and those that the journal does itself.

A task's class is its kind. `kind` and the fields are stored (`shared.audit.journal`), and tasks of yesterday's process
are done by today's: neither is renamed, and a new field has a default.
"""

from typing import Any, ClassVar

from pydantic import Field

from shared.audit.models import Entry
from shared.kernel.documents import StoredModel
from shared.platform.documents import CONTAINERS, Container


class Task(StoredModel):
    """Something to be done after a commit. `delay_s` leaves it to the timer, that many seconds later: for what others
    may still be using."""

    kind: ClassVar[str]

    delay_s: int = Field(default=0, exclude=True)

    def stored(self) -> dict[str, Any]:
        """Return the fields as the outbox stores them: those that were given."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class AppendEntry(Task, Entry):
    """Append an audit entry to the log: the task's fields are the entry's."""

    kind = "audit.append"


class _OtherDocument(Task):
    """A document of another partition than the change's own; `body` is JSON."""

    container: str
    partition: str
    id: str

    @property
    def where(self) -> Container:
        return CONTAINERS[self.container]


class CreateDocument(_OtherDocument):
    """Create the document, unless it is there already (`create`)."""

    kind = "documents.create"

    body: str


class RemoveDocument(_OtherDocument):
    """Delete the document, unless it is gone already (`remove`)."""

    kind = "documents.remove"


def create(container: Container, partition: str, id: str, body: StoredModel) -> CreateDocument:
    """Create a document of another partition; that it is there already is fine."""
    return CreateDocument(container=container.name, partition=partition, id=id, body=body.to_json().decode())


def remove(container: Container, partition: str, id: str) -> RemoveDocument:
    """Delete a document of another partition; that it is gone already is fine."""
    return RemoveDocument(container=container.name, partition=partition, id=id)
