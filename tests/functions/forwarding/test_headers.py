"""Forwarded calls: the headers that cross, each way, and the trace."""

import pytest

from tests.emulators.upstream import Request, answer, replying
from tests.support.host.client import Answer, Header
from tests.support.host.forwarding import Route


def sent(route: Route, *headers: Header) -> Request:
    """What of a consumer's headers arrives at the upstream."""
    given = route.call(headers=headers)
    assert given.status == 200, given
    return route.arrived(given)


def received(route: Route, *headers: str) -> Answer:
    """What of an upstream's headers arrives at the consumer."""
    given = route.call(route.behave(replying(answer(200, b"body", *headers))))
    assert (given.status, given.body) == (200, b"body"), given
    return given


def test_hop_by_hop_headers_stay_on_their_hop(route: Route) -> None:
    hops = [
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authorization", "Basic eA=="),
        ("TE", "trailers"),
        ("Trailer", "X-T"),
        ("Upgrade", "websocket"),
        ("Proxy-Connection", "keep-alive"),
        ("X-Mine", "1"),
        ("x-other", "2"),
    ]
    request = sent(route, ("Connection", "keep-alive, X-MINE,x-other"), ("X-Kept", "3"), *hops)
    assert [request.all(name) for name, _ in hops] == [[]] * len(hops)
    assert request.one("x-kept") == "3"
    hops_back = ["X-Mine: 1", "Keep-Alive: timeout=5", "Proxy-Authenticate: Basic", "Trailer: X-T"]
    given = received(route, "Connection: close, X-Mine", "X-Kept: 3", *hops_back)
    assert [given.all(name) for name in ("x-mine", "keep-alive", "proxy-authenticate", "trailer")] == [[]] * 4
    assert given.one("x-kept") == "3"


def test_the_key_never_reaches_the_upstream(route: Route) -> None:
    ways: list[list[Header]] = [
        [("X-AMS-Key", route.customer.clear)],
        [("X-AMS-Key", route.customer.clear), ("x-ams-key", route.customer.clear)],
        [("Authorization", f"Bearer {route.customer.clear}")],
        [("Authorization", f"bearer   {route.customer.clear}")],
        [("Authorization", "Basic eA=="), ("Authorization", f"Bearer {route.customer.clear}")],
        [
            ("X-AMS-Key", route.customer.clear),
            ("Authorization", f"Bearer {route.customer.clear}"),
            ("Connection", "close"),
        ],
    ]
    for headers in ways:
        given = route.host.client.call("GET", f"/api/consume/{route.service.slug}/", None, headers)
        request = route.arrived(given)
        assert route.customer.clear not in str(request.headers), headers
        assert not request.all("authorization"), headers


def test_headers_in_ams_own_name_cookies_and_forwarding_claims_do_not_pass(route: Route) -> None:
    dropped = [
        ("X-AMS-Service", "other"),
        ("X-AMS-Consumer", "con_9"),
        ("x-ams-anything", "1"),
        ("Cookie", "a=b"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Forwarded-Host", "evil"),
        ("Forwarded", "for=10.0.0.1"),
        ("Via", "1.1 x"),
        ("Expect", "nothing"),
    ]
    request = sent(route, ("X-AMS-Request-Id", "req_mine"), *dropped)
    assert [request.all(name) for name, _ in dropped] == [[]] * len(dropped)
    assert request.one("x-ams-request-id") != "req_mine"


def test_somebody_elses_authorization_and_all_other_headers_pass(route: Route) -> None:
    passed = [
        ("Authorization", "Bearer eyJhbGciOi.x.y"),
        ("Accept", "text/csv"),
        ("User-Agent", "curl/8"),
        ("Accept-Encoding", "br"),
        ("If-None-Match", '"1"'),
        ("Range", "bytes=0-9"),
        ("Origin", "https://a.test"),
        ("X-Text", "caf\u00c3\u00a9"),
    ]
    request = sent(route, *passed)
    assert [request.all(name) for name, _ in passed] == [[value] for _, value in passed]


def test_nothing_is_added_to_a_bare_request(route: Route) -> None:
    request = sent(route)
    assert {name.lower() for name, _ in request.headers} == {"host", "x-ams-request-id", "traceparent"}
    assert request.one("host") == route.upstream.url.removeprefix("http://")


def test_repeated_headers_are_joined_both_ways(route: Route) -> None:
    request = sent(route, ("X-Many", "a"), ("x-many", "b"), ("X-MANY", "c"))
    assert request.all("x-many") == ["a, b, c"]
    given = received(route, "Link: <a>", "link: <b>", "WWW-Authenticate: Basic")
    assert given.all("link") == ["<a>, <b>"]
    assert given.all("www-authenticate") == ["Basic"]


def test_the_upstreams_credential_comes_from_the_secrets(route: Route) -> None:
    guarded = route.another(auth_header="X-Api-Token", auth_secret="upstream-token")
    request = sent(guarded, ("x-api-token", "the consumer's"))
    assert request.all("x-api-token") == ["its token"]


def test_a_credential_that_is_missing_is_the_merchants_misconfiguration(route: Route) -> None:
    for secret in ("no-such-secret", "Not a name"):
        guarded = route.another(auth_header="X-Api-Token", auth_secret=secret)
        problem = guarded.call().problem(502, "merchant_misconfigured")
        assert secret not in str(problem)
        assert route.host.settled(guarded.customer)["events"] == 0


def test_the_upstreams_cookies_and_cors_grants_are_not_relayed(route: Route) -> None:
    dropped = [
        "Set-Cookie: a=b",
        "Set-Cookie: c=d",
        "Server: Apache",
        "Alt-Svc: h3",
        "Clear-Site-Data: cookies",
        "Access-Control-Allow-Origin: *",
        "Access-Control-Allow-Credentials: true",
        "X-AMS-Other: 1",
        "Strict-Transport-Security: max-age=1",
        "X-AMS-Answered-By: ams",
        "X-AMS-Request-Id: req_theirs",
    ]
    kept = ["Content-Type: text/csv", "ETag: 1", "Cache-Control: no-cache", "Vary: Origin", "Location: /x"]
    given = received(route, *dropped, *kept)
    own = {"x-ams-answered-by": "upstream", "x-ams-request-id": given.request_id}
    for line in dropped:
        name = line.partition(":")[0].lower()
        assert given.all(name) == ([own[name]] if name in own else []), name
    assert [given.one(line.partition(":")[0]) for line in kept] == [line.partition(": ")[2] for line in kept]


def test_a_body_without_a_type_is_not_called_text(route: Route) -> None:
    assert received(route).one("content-type") == "application/octet-stream"


TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("given", "flags"),
    [(f"00-{TRACE}-{PARENT}-01", "01"), (f"00-{TRACE}-{PARENT}-00", "00"), (f"cc-{TRACE}-{PARENT}-01-later", "01")],
)
def test_a_trace_is_continued(route: Route, given: str, flags: str) -> None:
    request = sent(route, ("traceparent", given), ("tracestate", "a=b"))
    version, trace, parent, found_flags = (request.one("traceparent") or "").split("-")
    assert (version, trace, found_flags) == ("00", TRACE, flags)
    assert parent != PARENT
    assert request.one("tracestate") == "a=b"


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "hello",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}",
    ],
)
def test_a_missing_or_broken_trace_is_replaced(route: Route, given: str | None) -> None:
    headers = [("tracestate", "a=b"), *([("traceparent", given)] if given is not None else [])]
    request = sent(route, *headers)
    version, trace, parent, flags = (request.one("traceparent") or "").split("-")
    assert (version, len(trace), len(parent), flags) == ("00", 32, 16, "00")
    assert trace not in (TRACE, "0" * 32)
    assert request.one("tracestate") is None


def test_two_traceparents_are_none(route: Route) -> None:
    twice = [("traceparent", f"00-{TRACE}-{PARENT}-01")] * 2
    assert TRACE not in (sent(route, *twice).one("traceparent") or "")
