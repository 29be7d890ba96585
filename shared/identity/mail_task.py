"""Mails as tasks of the journal: what is decided is told, even when a process is killed in between."""

from typing import Any

from shared.audit.journal import GaveUp, Task
from shared.platform.mail import Mail, MailRefused, Message

MAIL_TASK = "mail.send"
LINE_CHARACTERS_MAX = 80


def mail(to: str, subject: str, text: str) -> Task:
    """To be passed to `Journal.commit`. A mail may be delivered twice, never lost."""
    return Task(MAIL_TASK, {"to": to, "subject": subject, "text": text})


def one_line(name: str) -> str:
    """Put a name that people chose on one line, at most 80 characters of it: no header and no paragraph can be smuggled
    into a mail with it."""
    words = " ".join(name.split())
    return words if len(words) <= LINE_CHARACTERS_MAX else words[:LINE_CHARACTERS_MAX] + "…"


async def send_mail(port: Mail, id: str, data: dict[str, Any]) -> None:
    """The handler. Raises MailUnavailable, GaveUp."""
    try:
        await port.send(Message(id, data["to"], data["subject"], data["text"]))
    except (MailRefused, ValueError) as error:
        raise GaveUp(str(error)) from error
