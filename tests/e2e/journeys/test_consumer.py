"""A consumer's journey: from the catalogue to a counted call, with a team, and out again."""

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.emulators.upstream import UpstreamPeer
from tests.support.host.installation import event
from tests.support.journeys.people import ACCEPTED, CREATED, EMPTY, PROMISE_S, Market, Person, only, until
from tests.support.journeys.steps import code_of, make_key, offer, open_shop

SLUG = "forecast"
CORA, BOB = "cora@example.com", "bob@example.com"
CALLS, REPORTED = 2, 5


@dataclass(frozen=True)
class Team:
    """A project of Cora's that Bob leads with her."""

    cora: Person
    bob: Person
    id: str

    @property
    def path(self) -> str:
        return f"{self.cora.tenant}/projects/{self.id}"


def test_a_consumer_from_the_catalogue_to_counted_calls_and_out_again(
    market: Market, admin: Person, upstream: UpstreamPeer
) -> None:
    service = offer(open_shop(market, admin, "meteo"), admin, SLUG, f"{upstream.url}/v1")
    cora = signs_up_for_what_she_found(market)
    is_granted_access(market, admin, cora, service)
    team = builds_a_team(market, cora)
    made = gets_a_key_for_the_project(team, service)
    uses_the_service(market, made["key"], service, upstream)
    sees_what_was_used(team, service, made["id"])
    newest = rotates(market, team, made)
    learns_why_a_call_is_refused(market, newest)
    loses_a_member(market, team, service, newest)
    leaves(market, team, service, newest)


def signs_up_for_what_she_found(market: Market) -> Person:
    def found() -> Any:
        return market.http.get("/api/v1/catalog/services", params={"q": "what forecast does"}).json()["items"]

    assert only(until(found, "the service in the catalogue"))["slug"] == SLUG
    assert market.http.get(f"/api/v1/catalog/services/{SLUG}").json()["merchant"]["slug"] == "meteo"
    cora = market.sign_in(CORA, "Cora")
    assert cora.account["name"] == "Cora"
    return cora


def is_granted_access(market: Market, admin: Person, cora: Person, service: dict[str, Any]) -> None:
    asked = {"service": SLUG, "note": "for our farm"}
    assert cora.post(f"{cora.tenant}/access-requests", asked, CREATED)["status"] == "requested"
    cora.refused("POST", f"{cora.tenant}/access-requests", 409, "grant_exists", asked)
    too_early = {"name": "too early", "service_ids": [service["id"]]}
    cora.refused("POST", f"{cora.tenant}/keys", 400, "request_invalid", too_early)

    waiting = only(admin.get("/admin/access-requests")["items"])
    assert (waiting["consumer_id"], waiting["note"]) == (cora.account["consumer_id"], "for our farm")
    decision = f"/admin/consumers/{waiting['consumer_id']}/grants/{waiting['service_id']}/approve"
    admin.post(decision, {"reason": "a good cause"})
    assert "a good cause" in market.mail(CORA, "Access approved")


def builds_a_team(market: Market, cora: Person) -> Team:
    project = cora.post(f"{cora.tenant}/projects", {"name": "Fields"}, CREATED)
    path = f"{cora.tenant}/projects/{project['id']}"
    cora.post(f"{path}/invites", {"email": BOB, "role": "manager"}, ACCEPTED)
    code = code_of(market.mail(BOB, "invite to Fields"))

    stranger = market.sign_in("stranger@example.com")
    stranger.refused("POST", "/project-invites/accept", 404, "invite_invalid", {"code": code})
    bob = market.sign_in(BOB, "Bob")
    assert bob.is_refused(path)
    assert bob.post("/project-invites/accept", {"code": code})["role"] == "manager"
    assert only(bob.get("/me/projects")["items"])["id"] == project["id"]
    assert {member["email"] for member in cora.get(f"{path}/members")["items"]} == {CORA, BOB}
    return Team(cora, bob, project["id"])


def gets_a_key_for_the_project(team: Team, service: dict[str, Any]) -> dict[str, Any]:
    made = make_key(team.cora, service["id"], project_id=team.id, ttl_days=90)
    shown = team.cora.get(f"{team.cora.tenant}/keys/{made['id']}")
    assert "key" not in shown
    assert made["key"].startswith(shown["prefix"])
    assert made["key"] not in str(team.cora.get(f"{team.cora.tenant}/keys"))
    return made


def uses_the_service(market: Market, key: str, service: dict[str, Any], upstream: UpstreamPeer) -> None:
    for _ in range(CALLS):
        answer = market.call(key, SLUG, "today?field=7")
        assert (answer.status_code, answer.headers["x-ams-answered-by"]) == (200, "upstream")
    arrived = upstream.at("/v1/today")[0]
    assert arrived.target == "/v1/today?field=7"
    assert key not in str(arrived.headers), "the merchant never sees the key"
    reports = [event(f"batch-{number}", SLUG, executions=1) for number in range(REPORTED)]
    assert market.ams.report(key, reports)[0] == 202
    assert market.ams.report(key, reports)[0] == 202, "sent again, as after a lost answer: counted once"


def sees_what_was_used(team: Team, service: dict[str, Any], key_id: str) -> None:
    usage = f"{team.cora.tenant}/usage"
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=1), today]  # a midnight may have come between the calls, or since
    both = {"from": str(days[0]), "to": str(today + timedelta(days=1))}

    def counted() -> Any:
        seen = team.cora.get(usage, group_by="service,api_key,project", **both)
        return seen["items"] if seen["total"]["events"] >= CALLS + REPORTED else None

    line = only(until(counted, "everything to be counted"))
    assert (line["service"], line["api_key"], line["project"]) == (service["id"], key_id, team.id)
    assert (line["events"], line["requests"], line["executions"]) == (CALLS + REPORTED, CALLS + REPORTED, REPORTED)
    of_the_project = team.bob.get(f"{team.path}/usage", group_by="day", **both)["items"]
    assert sum(item["events"] for item in of_the_project) == CALLS + REPORTED
    assert {item["label"] for item in of_the_project} <= set(map(str, days))
    table = list(csv.DictReader(io.StringIO(team.cora.get(usage, group_by="service,day", format="csv", **both))))
    assert sum(int(row["events"]) for row in table) == CALLS + REPORTED
    log = [each for day in days for each in team.cora.get(f"{usage}/days/{day}/records")["items"]]
    assert len(log) == CALLS + REPORTED
    assert team.bob.is_refused(usage), "Bob is in the project, and sees nothing else of Cora's"


def rotates(market: Market, team: Team, made: dict[str, Any]) -> str:
    path = f"{team.cora.tenant}/keys/{made['id']}"
    second = rotate(team.cora, path, overlap_hours=24)
    market.calls_become(200, None, second, SLUG, PROMISE_S)
    market.calls_become(200, None, made["key"], SLUG, PROMISE_S)
    third = rotate(team.cora, path, overlap_hours=0)
    market.calls_become(200, None, third, SLUG, PROMISE_S)
    for old in (made["key"], second):
        market.calls_become(401, "key_unknown", old, SLUG, PROMISE_S)
    return third


def rotate(person: Person, path: str, overlap_hours: int) -> str:
    headers = {"If-Match": person.send("GET", path).headers["etag"]}
    answer = person.send("POST", f"{path}/rotate", json={"overlap_hours": overlap_hours}, headers=headers)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["key"])


def learns_why_a_call_is_refused(market: Market, key: str) -> None:
    assert market.call(key, "no-such-service").json()["code"] == "service_not_granted"
    failed = only([check for check in explain(market, key, "no-such-service") if check["passed"] is False])
    assert failed["code"] == "service_not_granted"
    assert failed["what_to_do"]
    assert all(check["passed"] for check in explain(market, key, SLUG))


def explain(market: Market, key: str, service: str) -> list[dict[str, Any]]:
    answer: httpx.Response = market.http.post(
        "/api/v1/consume/explain", json={"service": service}, headers={"X-AMS-Key": key}
    )
    assert answer.status_code == 200, answer.text
    return list(answer.json()["checks"])


def loses_a_member(market: Market, team: Team, service: dict[str, Any], key_of_cora: str) -> None:
    tenant = team.cora.tenant
    of_bob = make_key(team.bob, service["id"], home=team.path)
    market.calls_become(200, None, of_bob["key"], SLUG, PROMISE_S)
    team.cora.change(f"{team.path}/members/{team.bob.account['id']}", "DELETE", EMPTY)
    assert all(team.bob.is_refused(team.path) for _ in range(6)), "out at once, in both workers"
    assert team.bob.is_refused(f"{tenant}/keys/{of_bob['id']}")
    market.calls_become(403, "key_disabled", of_bob["key"], SLUG, PROMISE_S)
    market.calls_become(200, None, key_of_cora, SLUG, PROMISE_S)


def leaves(market: Market, team: Team, service: dict[str, Any], key: str) -> None:
    left = team.cora.change(f"{team.cora.tenant}/grants/{service['id']}", "DELETE")
    assert left["status"] == "withdrawn"
    market.calls_become(403, "service_not_granted", key, SLUG, PROMISE_S)
