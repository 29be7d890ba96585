"""HTTP functions as callers see them."""

import json

import pytest

from tests.support.host.functions_host import Host, eventually, read_to_end, read_until


def problem(body: bytes) -> dict[str, object]:
    document = json.loads(body)
    assert set(document) == {"type", "title", "status", "code", "detail", "request_id"}
    return document


def test_a_function_gets_method_url_and_parameters(host: Host) -> None:
    status, headers, body = host.request("PUT", "/api/echo/a%20b/c?x=1&x=2&y=%26&z", b"hello")
    assert (status, body) == (200, b"hello")
    assert headers["x-method"] == "PUT"
    assert headers["x-path"] == "'a b/c'"
    assert headers["x-params"] == "{'x': '1,2', 'y': '&', 'z': ''}"
    assert headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("target", ["/api/echo/%2e%2E/..//b%2fc?q=%zz&r=a+b", "/api/echo/a;b=c/~!$&'()*+,;=:@"])
def test_the_url_keeps_the_bytes_of_the_request_line(host: Host, target: str) -> None:
    raw = host.raw(f"GET {target} HTTP/1.1\r\nHost: example.com:8080\r\nConnection: close\r\n\r\n".encode())
    assert f"x-url: http://example.com:8080{target}\r\n".encode() in raw


def test_a_proxys_absolute_target_is_taken_as_its_path(host: Host) -> None:
    raw = host.raw(b"GET http://other/api/echo/x HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
    assert b"x-url: http://example.com/api/echo/x\r\n" in raw


def test_repeated_headers_are_joined(host: Host) -> None:
    raw = host.raw(
        b"GET /api/echo/x HTTP/1.1\r\nHost: h\r\nAccept: a\r\nACCEPT: b\r\nCookie: a=1\r\nCookie: b=2\r\n"
        b"Connection: close\r\n\r\n"
    )
    assert b"|accept=a, b|cookie=a=1; b=2|" in raw


def test_chunked_bodies_are_put_together(host: Host) -> None:
    _, _, body = host.request("POST", "/api/echo/x", iter([b"one ", b"two ", b"three"]))
    assert body == b"one two three"


def test_sync_functions_run_in_a_thread_with_their_context(host: Host) -> None:
    _, _, body = host.request("GET", "/api/thread", headers={"traceparent": "00-1-2-01"})
    assert body.startswith(b"function_")
    assert body.endswith(b" thread 00-1-2-01")


def test_the_wrong_method_is_told_the_right_ones(host: Host) -> None:
    status, headers, body = host.request("GET", "/api/count")
    assert (status, headers["allow"], problem(body)["code"]) == (405, "POST", "method_not_allowed")


def test_unknown_paths_below_the_prefix_are_problems(host: Host) -> None:
    status, headers, body = host.request("GET", "/api/nope")
    assert (status, headers["content-type"]) == (404, "application/problem+json")
    assert problem(body)["code"] == "not_found"


def test_a_path_with_nul_is_refused(host: Host) -> None:
    status, _, body = host.request("GET", "/api/echo/%00")
    assert (status, problem(body)["code"]) == (400, "path_invalid")


def test_a_failing_function_tells_nothing_of_why(host: Host) -> None:
    status, _, body = host.request("GET", "/api/fails")
    assert (status, problem(body)["code"]) == (500, "internal_error")
    assert b"secret" not in body
    assert b"Traceback" not in body
    eventually(lambda: "a secret reason" in host.messages(), "the reason is logged")


def test_a_stream_that_breaks_does_not_look_complete(host: Host) -> None:
    raw = host.raw(b"GET /api/breaks HTTP/1.1\r\nHost: h\r\n\r\n")
    assert raw.endswith(b"\r\n\r\n4\r\nhalf\r\n")
    assert b"secret" not in raw


@pytest.mark.parametrize("sends", [3, 7])
def test_a_stream_of_another_length_than_it_says_is_cut(host: Host, sends: int) -> None:
    raw = host.raw(f"GET /api/sized?length=5&sends={sends} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"content-length: 5" in head
    assert len(body) < 5


def test_a_whole_body_of_another_length_than_it_says_is_an_error(host: Host) -> None:
    status, _, body = host.request("GET", "/api/whole?body=abc&h-content-length=5")
    assert (status, problem(body)["code"]) == (500, "internal_error")


@pytest.mark.parametrize("header", ["h-x%0d%0aevil=1", "h-x%20y=1", "h-x=%E2%82%AC", "status=99"])
def test_a_response_that_cannot_be_sent_is_an_error(host: Host, header: str) -> None:
    status, headers, _ = host.request("GET", f"/api/whole?{header}")
    assert status == 500
    assert "evil" not in headers


@pytest.mark.parametrize("path", ["whole?body=abc", "sized?length=3&sends=3"])
def test_head_has_the_headers_of_get_and_no_body(host: Host, path: str) -> None:
    raw = host.raw(f"HEAD /api/{path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
    assert raw.startswith(b"HTTP/1.1 200 ")
    assert b"\r\ncontent-length: 3\r\n" in raw
    assert raw.endswith(b"\r\n\r\n")


def test_head_keeps_the_content_length_that_the_function_gives(host: Host) -> None:
    raw = host.raw(b"HEAD /api/whole?h-content-length=12345 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert b"\r\ncontent-length: 12345\r\n" in raw


@pytest.mark.parametrize("status", [204, 304])
def test_bodiless_statuses_have_no_body(host: Host, status: int) -> None:
    raw = host.raw(
        f"GET /api/whole?status={status}&body=abc HTTP/1.1\r\nHost: h\r\n\r\n"
        "GET /api/whole?body=next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode()
    )
    first, _, rest = raw.partition(b"\r\n\r\n")
    assert first.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"content-length" not in first
    assert b"transfer-encoding" not in first
    assert rest.startswith(b"HTTP/1.1 200 ")


def test_no_result_is_204(host: Host) -> None:
    assert host.request("GET", "/api/nothing")[0] == 204


def test_no_header_tells_what_the_server_is_and_none_opens_it_to_other_origins(host: Host) -> None:
    _, headers, _ = host.request("GET", "/api/whole", headers={"Origin": "https://evil.example"})
    assert "server" not in headers
    assert "date" in headers
    assert not [name for name in headers if name.startswith("access-control")]


def test_a_body_over_the_limit_is_refused_before_and_while_it_is_read(host: Host) -> None:
    announced = host.raw(b"POST /api/refuses HTTP/1.1\r\nHost: h\r\nContent-Length: 1000001\r\n\r\n")
    assert announced.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in announced
    # Sent in chunks, its length is only known when it is there.
    status, _, body = host.request("POST", "/api/refuses", iter([b"x" * 500_000, b"x" * 500_001]))
    assert (status, problem(body)["code"]) == (413, "request_too_large")
    assert host.request("POST", "/api/refuses", b"x" * 1_000_000)[0] == 403


def test_the_rest_of_an_unread_body_does_not_become_the_next_request(host: Host) -> None:
    with host.connect() as client:
        client.sendall(b"POST /api/refuses-unread HTTP/1.1\r\nHost: h\r\nContent-Length: 48\r\n\r\n")
        assert b" 403 " in read_until(client, b"no")
        client.sendall(b"GET /api/nope HTTP/1.1\r\nHost: h\r\nX: 345678901\r\n\r\n")
        client.sendall(b"GET /api/whole?body=next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert read_to_end(client).count(b"HTTP/1.1 200 ") == 1


def test_a_client_that_asks_first_is_told_to_continue(host: Host) -> None:
    with host.connect() as client:
        client.sendall(
            b"POST /api/count HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n"
            b"Connection: close\r\n\r\n"
        )
        assert read_until(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"hello")
        assert read_to_end(client).endswith(b"\r\n\r\n5")


def test_a_client_that_asks_first_and_is_refused_gets_no_second_request(host: Host) -> None:
    raw = host.raw(b"POST /api/refuses-unread HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert raw.startswith(b"HTTP/1.1 403 ")
    assert b"connection: close" in raw


def test_keep_alive_and_pipelined_requests_are_answered_in_order(host: Host) -> None:
    one = "GET /api/whole?body=a{} HTTP/1.1\r\nHost: h\r\n\r\n"
    last = b"GET /api/thread HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    with host.connect() as client:
        client.sendall(one.format(0).encode())
        read_until(client, b"a0")
        client.sendall("".join(one.format(i) for i in range(1, 21)).encode() + last)
        raw = read_to_end(client)
    bodies = [part.split(b"\r\n\r\n")[1] for part in raw.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert bodies[:-1] == [f"a{i}".encode() for i in range(1, 21)]
    assert bodies[-1].startswith(b"function_")


def test_http_1_0_is_answered_and_closed(host: Host) -> None:
    raw = host.raw(b"GET /api/stream HTTP/1.0\r\n\r\n")
    assert b"connection: close" in raw
    assert b"transfer-encoding" not in raw


def test_an_offer_to_upgrade_is_ignored(host: Host) -> None:
    raw = host.raw(
        b"GET /api/whole?body=a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        b"GET /api/whole?body=b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    )
    assert raw.count(b"HTTP/1.1 200 OK") == 2


def test_the_portals_page_is_at_the_root_and_at_its_own_pages(host: Host) -> None:
    for target in ("/", "/index.html", "/services/maps"):
        status, headers, body = host.request("GET", target)
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert b"<title>portal</title>" in body
        assert headers["cache-control"] == "no-cache"
        assert headers["x-content-type-options"] == "nosniff"


def test_an_unchanged_file_is_not_sent_again(host: Host) -> None:
    _, headers, _ = host.request("GET", "/assets/app-1a2b.js")
    assert headers["content-type"].startswith("text/javascript")
    assert "immutable" in headers["cache-control"]
    status, _, body = host.request("GET", "/assets/app-1a2b.js", headers={"If-None-Match": headers["etag"]})
    assert (status, body) == (304, b"")


@pytest.mark.parametrize(
    "target",
    [
        "/../private.txt",
        "/%2e%2e/private.txt",
        "/..%2fprivate.txt",
        "/assets/../../private.txt",
        "/.secret",
        "/a/%2e%2e/.secret",
        "/missing.js",
        "//etc/host.conf",
        "/%00.js",
    ],
)
def test_nothing_else_is_served(host: Host, target: str) -> None:
    raw = host.raw(f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
    assert b"hidden" not in raw
    assert b"root:" not in raw
    assert raw.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 "))


def test_files_cannot_be_written(host: Host) -> None:
    status, headers, _ = host.request("POST", "/index.html")
    assert (status, headers["allow"]) == (405, "GET, HEAD")
