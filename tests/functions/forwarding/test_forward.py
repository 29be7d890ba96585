"""Forwarded calls: what crosses from the consumer to the merchant's API and back, and what does not."""

import gzip
import json

import pytest

from tests.emulators.upstream import Request, UpstreamPeer, answer, raw, replying
from tests.support.host.client import head
from tests.support.host.forwarding import Route


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_is_forwarded(route: Route, method: str) -> None:
    given = route.call("thing?x=1", method)
    assert (given.status, given.one("x-ams-answered-by")) == (200, "upstream")
    request = route.arrived(given)
    assert (request.method, request.target) == (method, "/base/thing?x=1")
    assert bool(given.body) is (method != "HEAD")


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "BREW"])
def test_other_methods_are_refused(route: Route, method: str) -> None:
    given = route.call("thing", method)
    assert given.status in (400, 405)
    given.problem(given.status, given.json()["code"])


@pytest.mark.parametrize(
    "target",
    [
        "",
        "/",
        "/a",
        "/a/",
        "/a/b/c",
        "/a//b",
        "/a///",
        "/a%2fb",
        "/a%2Fb",
        "/%7euser/~user",
        "/caf%C3%A9/%e2%82%ac",
        "/a+b%20c",
        "/a;v=1,2/b",
        "/a:b@c!$&'()*+,=",
        "/%25/%2541",
        "/...",
        "/.well-known/x",
        "/a..b/c..",
        "/[1]",
        "?",
        "/a?b=1&b=2&c",
        "/a?=",
        "/a?x=%2F&y=a%20b+c&z=%C3%A9",
        "/a?x=1?y=2/../z",
        "/a?url=http://host/%2e%2e/",
        "/consume/x/api/consume/y",
    ],
)
def test_path_and_query_arrive_byte_for_byte(route: Route, target: str) -> None:
    given = route.host.client.call("GET", f"/api/consume/{route.service.slug}{target}", route.customer.clear)
    assert given.status == 200, given
    # One thing is not kept: a `?` with nothing behind it, and the `/` between the base URL and an empty path.
    assert route.arrived(given).target == "/base" + target.removesuffix("?").replace("/", "", target == "/")


@pytest.mark.parametrize("prefix", ["/API/Consume/", "/api/CONSUME/"])
def test_the_route_is_found_in_any_case(route: Route, prefix: str) -> None:
    given = route.host.client.call("GET", f"{prefix}{route.service.slug}/a/consume/b", route.customer.clear)
    assert route.arrived(given).target == "/base/a/consume/b"


def test_a_service_is_named_by_id_or_slug_in_path_or_header(route: Route) -> None:
    by_path = route.host.client.call("GET", f"/api/consume/{route.service.id}/a", route.customer.clear)
    assert route.arrived(by_path).target == "/base/a"
    for name in (route.service.id, route.service.slug):
        headers = [("X-AMS-Service", name), ("Content-Type", "application/json")]
        by_header = route.host.client.call("POST", "/api/consume?q=1", route.customer.clear, headers, b'{"a": 1}')
        request = route.arrived(by_header)
        assert (request.method, request.target, bytes(request.body)) == ("POST", "/base?q=1", b'{"a": 1}')


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../",
        "../x",
        "a/../b",
        "a/..",
        "%2e%2e/x",
        "%2E./x",
        ".%2e",
        "a/%2e%2e%2fb",
        "..%2fx",
        "%252e%252e/x",
        "..;/x",
        "..;a=b/x",
        "a/..%3bx/",
        "..%5cx",
        "..\\x",
        "./x",
        "a/./b",
        "//host/x",
        "/x",
        "%00",
        "a%00b",
        "a%2500b",
    ],
)
def test_a_path_that_might_climb_out_is_refused(route: Route, path: str) -> None:
    before = len(route.upstream.requests)
    route.call(path).problem(400, "path_invalid")
    assert len(route.upstream.requests) == before


def test_cors_is_off(route: Route) -> None:
    preflight = [("Origin", "https://a.test"), ("Access-Control-Request-Method", "PUT")]
    given = route.call("x", "OPTIONS", headers=preflight)
    request = route.arrived(given)
    assert (request.method, request.one("access-control-request-method")) == ("OPTIONS", "PUT")
    refused = route.host.client.call("OPTIONS", route.target("x"), None, preflight)
    refused.problem(401, "key_missing")  # a preflight carries no key, so no browser gets through
    reported = route.host.client.call("POST", "/api/consume", None, [("Origin", "https://a.test")])
    for found in (given, refused, reported):
        assert not [name for name, _ in found.headers if name.lower().startswith("access-control-")]


def test_request_ids_are_unique(route: Route) -> None:
    ids = {route.call("x").request_id for _ in range(20)}
    assert len(ids) == 20
    assert all(route.upstream.of(request_id) for request_id in ids)


@pytest.mark.parametrize("status", [200, 201, 202, 301, 302, 307, 400, 401, 404, 418, 429, 451, 500, 503, 599])
def test_status_and_body_are_relayed(route: Route, status: int) -> None:
    given = route.call(
        route.behave(replying(answer(status, b"what it says", "Content-Type: text/plain", "Retry-After: 9")))
    )
    assert (given.status, given.body, given.one("content-type")) == (status, b"what it says", "text/plain")
    assert (given.one("x-ams-answered-by"), given.one("retry-after")) == ("upstream", "9")


def test_a_redirect_is_relayed_and_never_followed(route: Route) -> None:
    for status in (301, 302, 303, 307, 308):
        for location in (
            "http://169.254.169.254/latest/meta-data/",
            f"{route.upstream.url}/base/elsewhere",
            "//127.0.0.1/",
        ):
            given = route.call(route.behave(replying(answer(status, b"", f"Location: {location}"))))
            assert (given.status, given.one("location")) == (status, location)
    assert not route.upstream.at("/base/elsewhere")


def test_a_compressed_body_passes_as_it_is(route: Route) -> None:
    small, large = gzip.compress(b"x" * 1000), gzip.compress(json.dumps(list(range(50_000))).encode())
    for body in (small, large):
        given = route.call(route.behave(replying(answer(200, body, "Content-Encoding: gzip"))))
        assert (given.body, given.one("content-encoding")) == (body, "gzip")
    given = route.call("up", "POST", headers=[("Content-Encoding", "gzip")], body=small)
    assert bytes(route.arrived(given).body) == small


def test_a_body_in_chunks_arrives_in_chunks_and_one_with_a_length_with_it(route: Route) -> None:
    with route.host.client.connect() as connection:
        for _ in range(2):  # on one connection
            headers = [("X-AMS-Key", route.customer.clear), ("Transfer-Encoding", "chunked")]
            connection.send(head("POST", route.target("up"), headers))
            connection.send_chunked(b"one", b"two")
            request = route.upstream.of(connection.answer().request_id)
            assert (bytes(request.body), request.one("transfer-encoding")) == (b"onetwo", "chunked")
            assert request.one("content-length") is None
    given = route.call("up", "PUT", body=b"three")
    request = route.arrived(given)
    assert (bytes(request.body), request.one("content-length")) == (b"three", "5")
    assert request.one("transfer-encoding") is None


def test_100_continue_is_answered_and_stays_on_its_hop(route: Route) -> None:
    async def with_interim_answers(request: Request) -> None:
        await request.send(raw("HTTP/1.1 100 Continue"), raw("HTTP/1.1 103 Early Hints", "Link: <a>"))
        await request.read()
        await request.send(answer(200, b"final"))

    path = route.behave(with_interim_answers)
    headers = [("X-AMS-Key", route.customer.clear), ("Content-Length", "4"), ("Expect", "100-continue")]
    with route.host.client.connect() as connection:
        connection.send(head("POST", route.target(path), headers))
        assert connection.socket.recv(1024) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(b"body")
        given = connection.answer()
    assert (given.status, given.body, given.all("link")) == (200, b"final", [])
    assert route.arrived(given).all("expect") == []


def test_connections_to_the_upstream_are_used_again(route: Route) -> None:
    with UpstreamPeer() as own, route.host.client.connect() as connection:  # which one worker serves
        there = Route.make(route.host, route.operator, own)
        for _ in range(10):
            assert connection.call("GET", there.target("again"), there.customer.clear).status == 200
        assert [request.connection for request in own.requests] == [1] * 10


def test_an_early_answer_never_leaves_half_a_body_to_the_next_call(route: Route) -> None:
    """Else the next caller's request would be read as the rest of this one's body: request smuggling."""

    async def answer_early(request: Request) -> None:
        await request.send(answer(413, b"too much"))
        await request.closed()

    path = route.behave(answer_early)
    with route.host.client.connect() as connection:
        headers = [("X-AMS-Key", route.customer.clear), ("Content-Length", "100000")]
        connection.send(head("POST", route.target(path), headers) + b"x" * 50_000)
        given = connection.answer()
        assert (given.status, given.body) == (413, b"too much")
        following = route.call("after")
        early, after = route.arrived(given), route.arrived(following)
        assert (following.status, after.target) == (200, "/base/after")
        assert after.connection != early.connection


def test_what_an_upstream_sends_beyond_its_answer_never_answers_the_next_call(route: Route) -> None:
    async def say_too_much(request: Request) -> None:
        await request.send(answer(200, b"right") + answer(200, b"wrong"))

    path = route.behave(say_too_much)
    with route.host.client.connect() as connection:
        for target in (path, "next", path, "next"):
            given = connection.call("GET", f"/api/consume/{route.service.slug}/{target}", route.customer.clear)
            assert b"wrong" not in given.body
            assert given.status in (200, 502)
            if target == "next":
                assert given.json()["target"] == "/base/next"


def test_a_service_without_an_upstream_cannot_be_called(route: Route) -> None:
    unready = route.another()
    route.operator.put(unready.service, upstream=None)
    unready.call("x").problem(502, "merchant_misconfigured")
    assert route.host.settled(unready.customer)["events"] == 0


@pytest.mark.parametrize("status", ["draft", "pending_approval", "rejected", "retired"])
def test_a_service_that_is_not_active_cannot_be_called(route: Route, status: str) -> None:
    unready = route.another()
    route.operator.put(unready.service, status=status)
    unready.call("x").problem(502, "merchant_misconfigured")


def test_without_a_service_there_is_nothing_to_forward_to(route: Route) -> None:
    call, key = route.host.client.call, route.customer.clear
    call("POST", "/api/consume", key, (), b"x").problem(415, "content_type_unsupported")
    call("GET", "/api/consume/nobody/x", key).problem(403, "service_not_granted")
    call("GET", "/api/consume", key).problem(405, "method_not_allowed")
