"""Mail into a folder, one `.eml` file each: for a machine without a mail server, and for tests that read it."""

import logging
import os
from pathlib import Path

from shared.platform.mail import MailUnavailable, Message, as_email

_logger = logging.getLogger(__name__)


class OutboxMail:
    """Files are named `<id>.eml` after the message, so a message that is sent twice is one file."""

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = sender

    async def send(self, message: Message) -> None:
        email = as_email(message, self._sender)
        path = self._folder / f"{message.id.replace(':', '_')}.eml"
        draft = path.with_suffix(".new")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(bytes(email))
            os.replace(draft, path)  # a reader never sees half a message
        except OSError as error:
            raise MailUnavailable(f"the outbox folder refuses: {error.strerror}") from error
        _logger.info("mail to %s is in the outbox: %s", message.to, path.name)

    async def close(self) -> None:
        return None
