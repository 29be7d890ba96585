"""Mail into a folder, one `.eml` file each: for a machine without a mail server, and for tests that read it."""

import contextlib
import logging
import os
import tempfile
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
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._put(path, bytes(email))
        except OSError as error:
            raise MailUnavailable(f"the outbox folder refuses: {error.strerror}") from error
        _logger.info("mail to %s is in the outbox: %s", message.to, path.name)

    async def close(self) -> None:
        return None

    def _put(self, path: Path, content: bytes) -> None:
        """A reader never sees half a message, also when two processes write the same one: each has its own draft."""
        descriptor, draft = tempfile.mkstemp(dir=self._folder, prefix=path.stem, suffix=".new")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # before the name exists: a power cut must not leave a name without bytes
            os.replace(draft, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(draft)
            raise
