"""The mail port: hand one message over. Contract suite: `tests/platform/mail/`."""

from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from typing import Protocol

from shared.kernel.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Message:
    """A mail: plain text to one address. `id` becomes the Message-ID, so that a message that is handed over twice,
    because a process was killed in between, can be recognised."""

    id: str
    to: str
    subject: str
    text: str


class MailUnavailable(Unavailable):
    """The server could not be reached, or does not take mail now; try again."""


class MailDeferred(MailUnavailable):
    """The server does not take this message now, such as for a mailbox that is full; it may take others."""


class MailRefused(Exception):
    """The server will never take this message, such as for an address that does not exist."""


class Mail(Protocol):
    """Hands mails over to whoever delivers them."""

    async def send(self, message: Message) -> None:
        """Hand a mail over; it is durable when this returns. Raises MailUnavailable, MailDeferred, MailRefused;
        ValueError for a header with a line break, and when `to` is not one address."""
        ...

    async def close(self) -> None: ...


def as_email(message: Message, sender: str) -> EmailMessage:
    """RFC 5322. Raises ValueError for a header with a line break, and when `to` is not one address."""
    email = EmailMessage()
    email["From"] = sender
    email["To"] = message.to
    if [address.addr_spec for address in email["To"].addresses] != [message.to]:
        raise ValueError("`to` must be one e-mail address")
    email["Subject"] = message.subject
    email["Date"] = formatdate(usegmt=True)
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    email["Message-ID"] = f"<{message.id.replace(':', '.')}@{domain}>"
    email["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation replies
    email.set_content(message.text)
    return email
