"""Mail over SMTP with aiosmtplib: one connection per message."""

from typing import Literal

import aiosmtplib

from shared.platform.mail import MailDeferred, MailRefused, MailUnavailable, Message, as_email

TIMEOUT_S = 30.0
_CLOSING = 421
Security = Literal["none", "starttls", "tls"]


class SmtpMail:
    """The mail port on a mail server, by SMTP. A connection for each mail."""

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
                email,
                hostname=self._host,
                port=self._port,
                username=self._user,
                password=self._password,
                use_tls=self._security == "tls",
                start_tls=self._security == "starttls",
                timeout=TIMEOUT_S,
            )
        except (aiosmtplib.SMTPException, OSError) as error:
            refusal = _refusal(error, message)
            if refusal is not None:
                raise MailRefused(f"{refusal}: {_reason(error)}") from error
            raise (MailDeferred if _is_deferred(error) else MailUnavailable)(_reason(error)) from error

    async def close(self) -> None:
        return None


def _refusal(error: Exception, message: Message) -> str | None:
    """Why trying again is of no use; None when it may be. What is wrong with the settings can be mended."""
    match error:
        case aiosmtplib.SMTPRecipientsRefused() if all(_is_final(refused.code) for refused in error.recipients):
            return "the server refuses the address"
        case aiosmtplib.SMTPDataError() if _is_final(error.code):
            return "the server refuses the message"
        case aiosmtplib.SMTPNotSupported() if not message.to.isascii():
            return "the server cannot write to such an address"
    return None


def _is_deferred(error: Exception) -> bool:
    """Whether it is about this message, or address, only: the server goes on with the next."""
    match error:
        case aiosmtplib.SMTPRecipientsRefused():
            return all(refused.code != _CLOSING for refused in error.recipients)
        case aiosmtplib.SMTPDataError():
            return error.code != _CLOSING
    return False


def _is_final(code: int) -> bool:
    """RFC 5321, section 4.2.1: 4xx may work later, 5xx will not."""
    return 500 <= code < 600


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
