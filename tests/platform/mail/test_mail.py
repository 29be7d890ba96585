"""The contract of the mail port, for both adapters, and what only one of them can do wrong."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from shared.platform.mail import Mail, MailDeferred, MailRefused, MailUnavailable, Message, smtp
from shared.platform.mail.outbox import OutboxMail
from shared.platform.mail.smtp import Security, SmtpMail
from tests.support.certificates import HOST, server_tls, write_certificate

# A server in a test may take passwords in the clear; whether the client gives them away is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")

SENDER = "AMS <ams@example.com>"
MESSAGE = Message("task:01", "ann@example.com", "A key expires", "Dear Ann,\nit expires.\n")
SHORT_S = 0.3
LONG_S = 20.0


@dataclass
class MailServer:
    """A real SMTP server. `answers` are given in place of the right ones, by command."""

    certificate: Path
    tls: Security = "none"
    user: tuple[str, str] | None = None
    utf8: bool = False
    answers: dict[str, str] = field(default_factory=dict)
    delivered: list[tuple[list[str], bytes]] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        context = server_tls(self.certificate)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(
                self,
                loop=loop,
                hostname="mail.test",
                enable_SMTPUTF8=self.utf8,
                tls_context=context if self.tls == "starttls" else None,
                require_starttls=self.tls == "starttls",
                authenticator=self._authenticate if self.user else None,
                auth_required=self.user is not None,
                auth_require_tls=self.tls == "starttls",
            ),
            HOST,
            self.port,
            ssl=context if self.tls == "tls" else None,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def _authenticate(self, _: Any, __: Any, ___: Any, ____: Any, auth_data: Any) -> AuthResult:
        assert isinstance(auth_data, LoginPassword)
        given = (auth_data.login.decode(), auth_data.password.decode())
        return AuthResult(success=given == self.user, handled=False)

    async def handle_RCPT(self, _: Any, __: Any, envelope: Envelope, address: str, ___: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if "RCPT" not in self.answers:
            envelope.rcpt_tos.append(address)
        return self.answers.get("RCPT", "250 OK")

    async def handle_DATA(self, _: Any, __: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        if "DATA" not in self.answers:
            assert isinstance(envelope.original_content, bytes)
            self.delivered.append((envelope.rcpt_tos, envelope.original_content))
        return self.answers.get("DATA", "250 OK")


@dataclass
class Harness:
    """The port; what arrived, in no order; and how to take the other side away and bring it back."""

    mail: Mail
    received: Callable[[], list[EmailMessage]]
    break_: Callable[[], Any]
    mend: Callable[[], Any]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("mail") / "server.pem")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The server tells its log about every client."""
    logger = logging.getLogger("mail.log")
    before, logger.level = logger.level, logging.CRITICAL
    yield
    logger.level = before


@pytest.fixture
async def serve(certificate: Path) -> AsyncIterator[Callable[..., Any]]:
    """Start a mail server with such settings."""
    started: list[MailServer] = []

    async def start(**settings: Any) -> MailServer:
        started.append(MailServer(certificate, **settings))
        await started[-1].start()
        return started[-1]

    yield start
    for server in started:
        await server.stop()


def connect(server: MailServer, security: Security = "none", **options: Any) -> SmtpMail:
    given = {"user": None, "password": None, **options}
    return SmtpMail(HOST, server.port, SENDER, security=security, **given)


@pytest.fixture(params=["outbox", "smtp"])
async def harness(request: pytest.FixtureRequest, tmp_path: Path, serve: Callable[..., Any]) -> Harness:
    if request.param == "outbox":
        folder = tmp_path / "mail"

        def read() -> list[EmailMessage]:
            return [_parsed(file.read_bytes()) for file in folder.glob("*.eml")]

        return Harness(OutboxMail(folder, SENDER), read, lambda: _block(folder), folder.unlink)
    server: MailServer = await serve()
    return Harness(
        connect(server), lambda: [_parsed(content) for _, content in server.delivered], server.stop, server.start
    )


def _parsed(content: bytes) -> EmailMessage:
    message = message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def _block(folder: Path) -> None:
    """Nothing can be written where a file stands in the folder's place; root can write everywhere else."""
    folder.write_text("not a folder")


async def _now(step: Callable[[], Any]) -> None:
    done = step()
    if asyncio.iscoroutine(done):
        await done


# The contract


async def test_a_message_arrives_as_it_was_written(harness: Harness) -> None:
    text = "Grüße, Ann!\n.\n.. two dots\n" + "long " * 400 + "\nFrom here on: <b>no HTML</b>\n"
    await harness.mail.send(Message("task:7", "ann@example.com", "Schlüssel läuft ab ✓ " + "lang " * 30, text))

    (found,) = harness.received()
    assert found["From"] == SENDER
    assert found["To"] == "ann@example.com"
    assert found["Subject"] == "Schlüssel läuft ab ✓ " + "lang " * 30
    assert found["Message-ID"] == "<task.7@example.com>"
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["Date"].datetime is not None
    assert found.get_content_type() == "text/plain"
    assert found.get_content().replace("\r\n", "\n") == text


async def test_a_message_that_is_sent_again_can_be_recognised(harness: Harness) -> None:
    await harness.mail.send(MESSAGE)
    await harness.mail.send(MESSAGE)
    assert {found["Message-ID"] for found in harness.received()} == {"<task.01@example.com>"}


async def test_messages_in_parallel_all_arrive(harness: Harness) -> None:
    messages = [Message(f"task:{n}", f"person-{n}@example.com", "Subject", f"text {n}\n") for n in range(20)]
    await asyncio.gather(*(harness.mail.send(message) for message in messages))
    assert {found["To"] for found in harness.received()} == {message.to for message in messages}


@pytest.mark.parametrize(
    ("to", "subject"),
    [
        ("ann@example.com", "Hello\r\nBcc: bob@example.com"),
        ("ann@example.com", "Hello\nBcc: bob@example.com"),
        ("ann@example.com\r\nBcc: bob@example.com", "Hello"),
        ("ann@example.com\n", "Hello"),
    ],
)
async def test_a_header_with_a_line_break_is_refused(harness: Harness, to: str, subject: str) -> None:
    with pytest.raises(ValueError, match=r"linefeed|one e-mail address"):
        await harness.mail.send(Message("task:1", to, subject, "text"))
    assert harness.received() == []


@pytest.mark.parametrize(
    "to",
    ["", "ann,bob@example.com", "ann@example.com,bob@example.com", "Ann <ann@example.com>", "a:b@example.com;"],
)
async def test_a_recipient_is_one_address(harness: Harness, to: str) -> None:
    with pytest.raises(ValueError, match="one e-mail address"):
        await harness.mail.send(Message("task:1", to, "Hello", "text"))
    assert harness.received() == []


async def test_what_cannot_be_reached_is_unavailable_until_it_is_back(harness: Harness) -> None:
    await _now(harness.break_)
    with pytest.raises(MailUnavailable):
        await harness.mail.send(MESSAGE)
    await _now(harness.mend)
    await harness.mail.send(MESSAGE)
    assert [found["To"] for found in harness.received()] == [MESSAGE.to]
    await harness.mail.close()


# The outbox


async def test_the_outbox_keeps_one_file_for_a_message(tmp_path: Path) -> None:
    mail = OutboxMail(tmp_path, SENDER)
    await mail.send(MESSAGE)
    await mail.send(MESSAGE)
    assert _names(tmp_path) == ["task_01.eml"]


def _names(folder: Path, suffix: str = "") -> list[str]:
    return sorted(file.name for file in folder.glob(f"*{suffix}"))


async def test_the_outbox_never_shows_half_a_message(tmp_path: Path) -> None:
    mail = OutboxMail(tmp_path, SENDER)
    text = "line of a long message\n" * 20_000
    stop = asyncio.Event()

    def watch() -> int:
        """In a thread: reads whatever is visible while the file is replaced again and again."""
        looks = 0
        while not stop.is_set() or not looks:
            for file in tmp_path.glob("*.eml"):
                assert _parsed(file.read_bytes()).get_content() == text
                looks += 1
        return looks

    watching = asyncio.create_task(asyncio.to_thread(watch))
    for _ in range(20):
        await mail.send(Message("task:1", "ann@example.com", "Long", text))
        await asyncio.sleep(0)
    stop.set()
    assert await watching > 0


async def test_two_processes_that_write_one_message_do_not_disturb_each_other(tmp_path: Path) -> None:
    """The one that was thought dead, and its successor. A draft of both would be torn, or gone for the second."""
    text = "line of a long message\n" * 5_000
    message = Message("task:1", "ann@example.com", "Long", text)

    def write() -> None:
        for _ in range(20):
            asyncio.run(OutboxMail(tmp_path, SENDER).send(message))

    await asyncio.gather(*(asyncio.to_thread(write) for _ in range(3)))

    assert _names(tmp_path) == ["task_1.eml"]
    assert _parsed((tmp_path / "task_1.eml").read_bytes()).get_content() == text


async def test_a_message_that_cannot_be_put_in_place_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "task_01.eml").mkdir()

    with pytest.raises(MailUnavailable):
        await OutboxMail(tmp_path, SENDER).send(MESSAGE)

    assert _names(tmp_path) == ["task_01.eml"]


async def test_what_a_killed_process_left_half_written_is_no_message(tmp_path: Path) -> None:
    (tmp_path / "task_01.new").write_bytes(b"From: AMS <ams@exam")
    assert _names(tmp_path, ".eml") == []
    await OutboxMail(tmp_path, SENDER).send(MESSAGE)
    assert _names(tmp_path, ".eml") == ["task_01.eml"]


# SMTP


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
@pytest.mark.parametrize("user", [None, ("ams", "pässword of a test")])
async def test_it_speaks_plainly_and_encrypted_with_and_without_a_user(
    serve: Callable[..., Any],
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    security: Security,
    user: tuple[str, str] | None,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = await serve(tls=security, user=user)
    name, password = user or (None, None)
    await connect(server, security, user=name, password=password).send(MESSAGE)
    assert [to for to, _ in server.delivered] == [["ann@example.com"]]


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_that_nobody_vouches_for_gets_no_mail(
    serve: Callable[..., Any], security: Security
) -> None:
    server = await serve(tls=security)
    with pytest.raises(MailUnavailable, match=r"(?i)certificate"):
        await connect(server, security).send(MESSAGE)
    assert server.delivered == []


async def test_a_server_without_starttls_gets_neither_mail_nor_password(serve: Callable[..., Any]) -> None:
    server = await serve(user=("ams", "secret"))
    with pytest.raises(MailUnavailable, match="STARTTLS"):
        await connect(server, "starttls", user="ams", password="secret").send(MESSAGE)
    assert server.delivered == []


async def test_a_wrong_password_is_for_the_operator_to_mend_and_is_not_told(serve: Callable[..., Any]) -> None:
    server = await serve(user=("ams", "right"))
    with pytest.raises(MailUnavailable) as refused:
        await connect(server, user="ams", password="wrong-password").send(MESSAGE)
    assert "wrong-password" not in str(refused.value)
    assert server.delivered == []


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        ("550 no such user", MailRefused),
        ("554 no", MailRefused),
        ("451 later", MailDeferred),
        ("421 going away", MailUnavailable),
    ],
)
async def test_what_the_server_says_decides_whether_to_try_again(
    serve: Callable[..., Any], command: str, answer: str, raised: type[Exception]
) -> None:
    server = await serve(answers={command: answer})
    with pytest.raises(raised, match=answer.partition(" ")[2]) as told:
        await connect(server).send(MESSAGE)
    assert told.type is raised, "one that is closing takes nobody's mail"
    assert server.delivered == []


@pytest.mark.parametrize("utf8", [True, False])
async def test_an_address_beyond_ascii_needs_a_server_that_can(serve: Callable[..., Any], utf8: bool) -> None:
    server = await serve(utf8=utf8)
    message = Message("task:1", "ünal@example.com", "Hello", "text")
    if utf8:
        await connect(server).send(message)
        assert [to for to, _ in server.delivered] == [["ünal@example.com"]]
    else:
        with pytest.raises(MailRefused, match="such an address"):
            await connect(server).send(message)


@asynccontextmanager
async def _silent(greeting: bytes) -> AsyncIterator[int]:
    """A server that takes connections, perhaps greets, and says nothing more. Its port."""
    done = asyncio.Event()

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await done.wait()
        writer.close()

    server = await asyncio.start_server(hold, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        done.set()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("greeting", [b"", b"220 mail.test\r\n"])
async def test_a_silent_server_is_given_up_in_time(greeting: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "TIMEOUT_S", SHORT_S)
    async with _silent(greeting) as port, asyncio.timeout(LONG_S):
        mail = SmtpMail(HOST, port, SENDER, user=None, password=None, security="none")
        with pytest.raises(MailUnavailable, match=r"SMTP\w*TimeoutError"):
            await mail.send(MESSAGE)
