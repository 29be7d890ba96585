"""Sign-in: from a token to one account, whatever happens at the same time or in between."""

import asyncio

from shared.access.models import Consumer
from tests.api.harness import Api


async def test_the_first_sign_in_makes_the_account_and_its_consumer(api: Api) -> None:
    ann = await api.sign_in("Ann", email="Ann@Example.com")

    assert (ann.account.name, ann.account.email, ann.account.email_verified) == ("Ann", "ann@example.com", True)
    assert ann.account.role is None
    consumer = await api.app.access.consumer(ann.account.consumer_id)
    assert consumer == Consumer(
        id=ann.account.consumer_id, name="Ann", account_id=ann.account.id, created_at=ann.account.created_at
    )
    months = await api.app.audit_log.months()
    entries = [entry async for entry in api.app.audit_log.entries(months[0])]
    assert [(entry.action, entry.actor) for entry in entries] == [("account.create", ann.account.id)]


async def test_fifty_first_requests_at_once_make_one_account(api: Api) -> None:
    token = api.issuer.token("bob", email="bob@example.com", email_verified=True)
    others = [api.issuer.token("bob", email="bob@example.com", email_verified=True) for _ in range(49)]

    signed = await asyncio.gather(
        *(api.app.sign_in.authenticate({"authorization": f"Bearer {each}"}) for each in (token, *others))
    )

    assert len({each.account.id for each in signed}) == 1
    assert len({each.session_id for each in signed}) == 50


async def test_an_admin_of_the_harness_is_one(api: Api) -> None:
    root = await api.sign_in("Root", admin=True)
    assert root.account.role == "admin"
