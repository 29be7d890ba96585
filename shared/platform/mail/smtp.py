"""Mail over SMTP with aiosmtplib: one connection per message."""

from typing import Literal

import aiosmtplib

from shared.platform.mail import MailRefused, MailUnavailable, Message, as_email

TIMEOUT_S = 30.0
Security = Literal["none", "starttls", "tls"]


class SmtpMail:
    def __init__(
        self, host: str, port: int, sender: str, *, user: str | None, password: str | None, security: Security
    ) -> None:
        self._host = host
        self._port = port
        self._sender = sender
        self._user = user
        self._password = password
        self._security = security

    async def send(self, message: Message) -> None:
        email = as_email(message, self._sender)
        try:
            await aiosmtplib.send(
                email, hostname=self._host, port=self._port, username=self._user, password=self._password,
                use_tls=self._security == "tls", start_tls=self._security == "starttls", timeout=TIMEOUT_S,
            )  # fmt: skip
        except aiosmtplib.SMTPRecipientsRefused as error:
            if all(500 <= refusal.code < 600 for refusal in error.recipients):
                raise MailRefused(f"the server refuses the address: {_reason(error)}") from error
            raise MailUnavailable(_reason(error)) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailUnavailable(_reason(error)) from error

    async def close(self) -> None:
        return None


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
