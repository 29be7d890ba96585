"""An admin's journey: decisions that hold everywhere at once, and an audit log that tells of every one of them."""

import sqlite3
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.upstream import UpstreamPeer
from tests.support.journeys.people import PROMISE_S, Market, Person, only, until
from tests.support.journeys.steps import Shop, make_key, offer, open_shop, subscribe

SLUG = "forecast"


@dataclass
class Operator:
    """What the admin decides, each with a reason of its own, and what the audit log must know of it."""

    admin: Person
    taken: list[dict[str, Any]] = field(default_factory=list)

    def decide(self, path: str, action: str, resource: str) -> dict[str, Any]:
        """Post a decision; it succeeds."""
        reason = f"because of case {len(self.taken) + 1}"
        answer = self.admin.send("POST", path, json={"reason": reason})
        assert answer.status_code == 200, answer.text
        self.taken.append(
            {
                "actor": self.admin.account["id"],
                "role": "admin",
                "action": action,
                "resource": resource,
                "reason": reason,
                "request_id": answer.headers["x-ams-request-id"],
            }
        )
        return dict(answer.json())


def test_an_admin_governs_and_everything_is_in_the_audit_log(
    market: Market, admin: Person, upstream: UpstreamPeer
) -> None:
    shop = open_shop(market, admin, "meteo")
    service = offer(shop, admin, SLUG, upstream.url)
    cora = market.sign_in("cora@example.com", "Cora")
    subscribe(cora, admin, service["id"])
    key: str = make_key(cora, service["id"])["key"]
    assert market.call(key, SLUG).status_code == 200

    operator = Operator(admin)
    changes_the_settings(admin)
    suspends_and_restores_the_merchant(market, operator, shop, key)
    disables_and_restores_the_service(market, operator, service, key)
    suspends_and_restores_the_consumer(market, operator, cora, key)
    suspends_and_restores_an_account(market, operator, cora)
    the_audit_log_tells(operator)
    the_audit_log_is_verified(market, operator)


def changes_the_settings(admin: Person) -> None:
    before = admin.get("/admin/settings")
    after = admin.change("/admin/settings", json={"commission_percent": "12.5", "reason": "decided by the board"})
    assert (before["commission_percent"], after["commission_percent"]) == ("10", "12.5")
    entry = only(admin.get("/admin/audit", action="settings.update")["items"])
    assert (entry["before"]["commission_percent"], entry["after"]["commission_percent"]) == ("10", "12.5")
    assert (entry["reason"], entry["actor"]) == ("decided by the board", admin.account["id"])


def suspends_and_restores_the_merchant(market: Market, operator: Operator, shop: Shop, key: str) -> None:
    decisions, resource = f"/admin{shop.path}", f"merchant:{shop.id}"
    until(lambda: is_listed(market), "the service in the catalogue")
    operator.decide(f"{decisions}/suspend", "merchant.suspend", resource)
    market.calls_become(403, "service_suspended", key, SLUG, PROMISE_S)
    until(lambda: not is_listed(market), "the merchant out of the catalogue")
    operator.decide(f"{decisions}/restore", "merchant.restore", resource)
    market.calls_become(200, None, key, SLUG, PROMISE_S)
    until(lambda: is_listed(market), "the merchant back in the catalogue")


def is_listed(market: Market) -> bool:
    services = market.http.get("/api/v1/catalog/services").json()["items"]
    return SLUG in [service["slug"] for service in services]


def disables_and_restores_the_service(market: Market, operator: Operator, service: dict[str, Any], key: str) -> None:
    decisions, resource = f"/admin/services/{service['id']}", f"service:{service['id']}"
    assert operator.decide(f"{decisions}/disable", "service.disable", resource)["status"] == "suspended"
    market.calls_become(403, "service_suspended", key, SLUG, PROMISE_S)
    assert operator.decide(f"{decisions}/restore", "service.restore", resource)["status"] == "active"
    market.calls_become(200, None, key, SLUG, PROMISE_S)


def suspends_and_restores_the_consumer(market: Market, operator: Operator, cora: Person, key: str) -> None:
    decisions, resource = f"/admin{cora.tenant}", f"consumer:{cora.account['consumer_id']}"
    operator.decide(f"{decisions}/suspend", "consumer.suspend", resource)
    market.calls_become(403, "consumer_suspended", key, SLUG, PROMISE_S)
    operator.decide(f"{decisions}/restore", "consumer.restore", resource)
    market.calls_become(200, None, key, SLUG, PROMISE_S)


def suspends_and_restores_an_account(market: Market, operator: Operator, cora: Person) -> None:
    found = only(operator.admin.get("/admin/accounts", email="cora@")["items"])
    assert found["id"] == cora.account["id"]
    decisions, resource = f"/admin/accounts/{found['id']}", f"account:{found['id']}"

    def answers(status: int) -> bool:
        return all(cora.send("GET", "/me").status_code == status for _ in range(6))

    operator.decide(f"{decisions}/suspend", "account.suspend", resource)
    until(lambda: answers(403), "Cora to be kept out", PROMISE_S)
    cora.refused("GET", "/me", 403, "account_suspended")
    operator.decide(f"{decisions}/restore", "account.restore", resource)
    until(lambda: answers(200), "Cora to be let in", PROMISE_S)


def the_audit_log_tells(operator: Operator) -> None:
    for step in operator.taken:
        wanted = {"action": step["action"], "resource": step["resource"]}
        entry = only(operator.admin.get("/admin/audit", **wanted)["items"])
        assert {name: entry[name] for name in step} == step
        assert entry["before"] != entry["after"]


def the_audit_log_is_verified(market: Market, operator: Operator) -> None:
    untouched = market.ams.run("audit", "verify")
    assert untouched.returncode == 0, untouched.stderr
    assert untouched.stdout.endswith("entries, nothing altered, removed or added\n")
    innocent, guilty = "because of case 1", "because of case X"
    with sqlite3.connect(market.ams.data / "documents.db", timeout=30) as store:
        store.execute(f"UPDATE audit SET body = replace(body, '{innocent}', '{guilty}')")
    entry = only(operator.admin.get("/admin/audit", action=operator.taken[0]["action"])["items"])
    assert entry["reason"] == guilty
    tampered = market.ams.run("audit", "verify")
    assert tampered.returncode == 1
    assert f"({entry['id']}) was altered" in tampered.stderr
