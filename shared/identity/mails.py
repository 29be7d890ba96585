"""Mails as tasks of the journal: what is decided is told, even when a process is killed in between."""

from shared.audit.journal import PermanentFailure
from shared.identity.tasks import SendMail
from shared.platform.mail import Mail, MailRefused, Message

LINE_CHARACTERS_MAX = 80


async def send_mail(port: Mail, task_id: str, task: SendMail) -> None:
    """Handle SendMail. Raises MailUnavailable, PermanentFailure."""
    try:
        await port.send(Message(task_id, task.to, task.subject, task.text))
    except (MailRefused, ValueError) as error:
        raise PermanentFailure(str(error)) from error


def reason_line(reason: str) -> str:
    """Write why something was decided, in the words of whoever did, as one line of a mail, uncut: no paragraph can be
    smuggled into the mail with it."""
    return f"Reason: {' '.join(reason.split())}"


def one_line(name: str) -> str:
    """Put a name that people chose on one line, at most 80 characters of it: no header and no paragraph can be smuggled
    into a mail with it."""
    words = " ".join(name.split())
    return words if len(words) <= LINE_CHARACTERS_MAX else words[:LINE_CHARACTERS_MAX] + "…"
