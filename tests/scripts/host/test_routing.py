"""Routes match as ASP.NET Core matches them."""

import pytest

from scripts.host.functions.routing import ALL_METHODS, BadPath, Match, MethodNotAllowed, Router


def router(*templates):
    return Router("api", [(template, ALL_METHODS, template) for template in templates])


def found(routes, path, method="GET"):
    match = routes.find(method, path.encode())
    return (match.target, match.parameters) if isinstance(match, Match) else match


@pytest.mark.parametrize("order", [1, -1])
def test_more_specific_routes_win_whatever_the_order(order):
    routes = router(*["a/b", "a/{x}", "a/{*rest}", "{*all}"][::order])
    assert found(routes, "/api/a/b") == ("a/b", {})
    assert found(routes, "/api/a/seven") == ("a/{x}", {"x": "seven"})
    assert found(routes, "/api/a/b/c") == ("a/{*rest}", {"rest": "b/c"})
    assert found(routes, "/api/z") == ("{*all}", {"all": "z"})


def test_an_exact_route_wins_over_a_catch_all_that_matches_nothing():
    routes = router("consume", "consume/{*path}")
    assert found(routes, "/api/consume") == ("consume", {})
    assert found(router("consume/{service}/{*path}"), "/api/consume/maps")[1] == {"service": "maps", "path": ""}


def test_literals_compare_without_case_and_a_trailing_slash_does_not_matter():
    routes = router("health/live")
    assert found(routes, "/API/Health/LIVE/") == ("health/live", {})


def test_a_parameter_is_percent_decoded_but_for_the_slash():
    routes = router("{name}")
    assert found(routes, "/api/caf%C3%A9%20a%2fb%2Fc") == ("{name}", {"name": "café a%2fb%2Fc"})


def test_dot_segments_and_double_slashes_are_not_normalised():
    routes = router("a/{*rest}", "b")
    assert found(routes, "/api/a/../b") == ("a/{*rest}", {"rest": "../b"})
    assert found(routes, "/api//b") is None


@pytest.mark.parametrize("path", ["/api/%00", "/api/%ff"])
def test_a_path_that_is_not_text_is_refused(path):
    with pytest.raises(BadPath):
        found(router("{name}"), path)


def test_optional_parameters_may_be_missing():
    routes = router("a/{x?}")
    assert found(routes, "/api/a") == ("a/{x?}", {})
    assert found(routes, "/api/a/1") == ("a/{x?}", {"x": "1"})


def test_methods_of_all_matching_routes_are_named():
    routes = Router("api", [("a", ["POST"], 1), ("{x}", ["PUT"], 2)])
    assert found(routes, "/api/a", "PUT") == (2, {"x": "a"})
    assert found(routes, "/api/a", "GET") == MethodNotAllowed(("POST", "PUT"))


def test_only_the_prefix_as_a_whole_segment_counts():
    routes = router("a")
    assert [routes.covers(path) for path in (b"/api", b"/API/x", b"/apis", b"/")] == [True, True, False, False]
    assert found(routes, "/xyz/a") is None


def test_an_empty_prefix_serves_from_the_root():
    routes = Router("", [("a", ["GET"], 1)])
    assert found(routes, "/a") == (1, {})


def test_with_an_empty_prefix_the_first_segments_of_routes_are_the_functions():
    routes = Router("", [("api/a/{x}", ["GET"], 1), ("robots.txt", ["GET"], 2), ("{any}/below", ["GET"], 3)])
    paths = (b"/api/unknown", b"/API", b"/robots.txt", b"/", b"/apis", b"/assets/a.js", b"/x/below")
    assert [routes.covers(path) for path in paths] == [True, True, True, False, False, False, False]
    assert found(routes, "/api/unknown") is None
    assert found(routes, "/") is None
    assert found(routes, "/x/below") == (3, {"any": "x"})
