"""Tasks that an earlier release left in the outbox are done by this one: kinds and fields are as they were stored."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.access.tasks import ClearProject, DisableKeys, FollowMembership
from shared.audit.tasks import AppendEntry, CreateDocument, RemoveDocument, Task
from shared.billing.tasks import AnnounceInvoices, TellPriceChange
from shared.bootstrap import Application
from shared.catalog.tasks import ForgetSecret, PublishPages, RelistServices, SyncGateway
from shared.identity.tasks import FollowRoster, JoinMerchant, ReleaseLogin, SendMail
from shared.platform.documents import CONTAINERS
from shared.reports.tasks import ClearReport, MakeReports
from shared.settings import load_settings
from shared.webhooks.tasks import DeliverEvent, EmitEvent

PLATFORM = CONTAINERS["platform"]
PERSON = {"consumer_id": "con_1", "project_id": "prj_1", "account_id": "acc_1"}
ENTRY = {
    "id": "aud_1",
    "time": "2026-11-21T10:00:00.000Z",
    "actor": "acc_1",
    "role": "admin",
    "action": "grant.approve",
    "resource": "grant:con_1:svc_1",
    "before": {"status": "requested"},
    "after": {"status": "approved"},
    "request_id": "req_1",
    "seq": 0,
    "previous": "",
    "hash": "",
}
POSTED = {"invoice_id": "inv_1", "total": "119.00", "due_on": None}

STORED: list[tuple[type[Task], str, dict[str, Any]]] = [
    (AppendEntry, "audit.append", ENTRY),
    (CreateDocument, "documents.create", {"container": "access", "partition": "p", "id": "x", "body": '{"a":1}'}),
    (RemoveDocument, "documents.remove", {"container": "access", "partition": "p", "id": "x"}),
    (SendMail, "mail.send", {"to": "ann@buyers.example", "subject": "Hello", "text": "There.\n"}),
    (FollowRoster, "account.follow_roster", {"id": "acc_1"}),
    (JoinMerchant, "account.join_merchant", {"account_id": "acc_1", "merchant_id": "mer_1"}),
    (ReleaseLogin, "login.release", {"key": "email:0a1b", "account_id": "acc_1"}),
    (
        EmitEvent,
        "webhook.emit",
        {
            "owner_id": "mer_1",
            "type": "invoice.issued",
            "data": POSTED,
            "timestamp": "2026-11-21T10:00:00.000Z",
            "webhook_id": None,
        },
    ),
    (DeliverEvent, "webhook.deliver", {"owner_id": "mer_1", "webhook_id": "whk_1", "delivery_id": "msg_1"}),
    (SyncGateway, "gateway.sync", {"service_id": "svc_1"}),
    (PublishPages, "pages.publish", {"service_id": "svc_1"}),
    (ForgetSecret, "upstream_secret.forget", {"name": "upstream-svc-1-v-1"}),
    (RelistServices, "catalog.relist", {"merchant_id": "mer_1"}),
    (FollowMembership, "membership.follow", PERSON),
    (DisableKeys, "member.disable_keys", PERSON),
    (ClearProject, "project.clear", {"consumer_id": "con_1", "project_id": "prj_1"}),
    (TellPriceChange, "plan.tell", {"merchant_id": "mer_1", "notice": "notice:svc_1:000002:announced"}),
    (
        AnnounceInvoices,
        "invoice.issued",
        {"merchant_id": "mer_1", "ids": ["inv_1", "inv_2"], "at": "2026-11-21T10:00:00.000Z"},
    ),
    (
        AnnounceInvoices,
        "invoice.issued",
        {"merchant_id": "mer_1", "ids": ["inv_2"], "at": "2026-11-21T10:00:00.000Z", "as": "outbox:job_1"},
    ),
    (MakeReports, "report.make", {}),
    (ClearReport, "report.clear", {"owner_id": "con_1", "id": "rep_1"}),
]


def _kinds(base: type[Task]) -> Iterator[type[Task]]:
    for task in base.__subclasses__():
        yield task
        yield from _kinds(task)


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Application]:
    application = Application(load_settings({"AMS_DATA": str(tmp_path)}))
    yield application
    await application.close()


@pytest.mark.parametrize(("task", "kind", "data"), STORED, ids=[kind for _, kind, _ in STORED])
def test_a_task_is_stored_as_it_always_was(task: type[Task], kind: str, data: dict[str, Any]) -> None:
    assert task.kind == kind
    assert task.model_validate(data).stored() == data


def test_when_it_is_due_is_not_part_of_it() -> None:
    assert ForgetSecret(name="old", delay_s=120).stored() == {"name": "old"}


def test_every_kind_of_task_has_a_handler_and_a_stored_example(app: Application) -> None:
    ours = {task.kind for task in _kinds(Task) if task.__module__.startswith("shared.") and hasattr(task, "kind")}
    assert app.audit.journal.kinds == ours == {kind for _, kind, _ in STORED}


async def test_what_an_earlier_release_left_in_the_outbox_is_done(app: Application, tmp_path: Path) -> None:
    for number, (kind, data) in enumerate(
        [
            ("audit.append", ENTRY),
            ("documents.create", {"container": "access", "partition": "p", "id": "x", "body": '{"a":1}'}),
            ("mail.send", {"to": "ann@buyers.example", "subject": "Hello", "text": "There.\n"}),
            ("webhook.emit", next(data for _, kind, data in STORED if kind == "webhook.emit")),
            ("invoice.issued", {"merchant_id": "mer_1", "ids": ["inv_unknown"], "at": "2026-11-21T10:00:00.000Z"}),
            ("report.make", {}),
        ]
    ):
        left = {"outbox": "2026-11-21T10:00:00.000Z", "kind": kind, "data": data, "attempts": 1}
        await app.ports.documents.create(PLATFORM, "here", f"outbox:job_{number}", json.dumps(left).encode())

    assert await app.audit.journal.deliver_due() == 6

    [entry] = [entry async for entry in app.audit.log.entries("2026-11")]
    assert (entry.id, entry.seq, entry.action, entry.after) == ("aud_1", 1, "grant.approve", {"status": "approved"})
    written = await app.ports.documents.get(CONTAINERS["access"], "p", "x")
    assert written is not None
    assert written.body == b'{"a":1}'
    [mail] = _mails(tmp_path)
    assert b"Subject: Hello" in mail


def _mails(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in folder.rglob("*.eml")]
