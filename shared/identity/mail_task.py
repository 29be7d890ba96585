"""Mails as tasks of the journal: what is decided is told, even when a process is killed in between."""

from typing import Any

from shared.audit.journal import GaveUp, Task
from shared.platform.mail import Mail, MailRefused, Message

MAIL_TASK = "mail.send"


def mail(to: str, subject: str, text: str) -> Task:
    """To be passed to `Journal.commit`. A mail may be delivered twice, never lost."""
    return Task(MAIL_TASK, {"to": to, "subject": subject, "text": text})


async def send_mail(port: Mail, id: str, data: dict[str, Any]) -> None:
    """The handler. Raises MailUnavailable, GaveUp."""
    try:
        await port.send(Message(id, data["to"], data["subject"], data["text"]))
    except (MailRefused, ValueError) as error:
        raise GaveUp(str(error)) from error
