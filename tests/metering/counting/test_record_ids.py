"""A record's id: injective in (source, id), and always a document id."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.metering.counting.record_ids import RECORD_PREFIX, record_id
from shared.platform.documents import ID_BYTES_MAX, check_id

# Beside any text: what quoting is about, and text that looks like its result.
AWKWARD = st.text(alphabet="%/\\?# :@2Fé\u00fc\0h.~+=", max_size=12)
TEXTS = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40),
    AWKWARD,
    st.sampled_from(["", ".", "..", "%", "%2F", "/", "%h", "%25", "a" * 2000, "é" * 400, "é" * 500, "日本" * 300]),
)


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_two_record_ids_are_equal_only_when_source_and_id_are(source, id, other_source, other_id):
    same = (source, id) == (other_source, other_id)
    assert (record_id(source, id) == record_id(other_source, other_id)) == same


@given(TEXTS, TEXTS)
def test_source_and_id_do_not_trade_places(source, id):
    assert source == id or record_id(source, id) != record_id(id, source)


@given(TEXTS, TEXTS)
def test_a_record_id_is_a_document_id(source, id):
    found = record_id(source, id)
    assert check_id(found) == found
    assert found.startswith(RECORD_PREFIX)
    assert len(found.encode()) <= ID_BYTES_MAX


@pytest.mark.parametrize("id", ["a/b", "a%2Fb", "a%252Fb", "a b", "a ", " a", "a", "A", "é", "e\u0301", "%h", "%%h"])
def test_ids_that_look_alike_stay_apart(id):
    others = {"a/b", "a%2Fb", "a%252Fb", "a b", "a ", " a", "a", "A", "é", "e\u0301", "%h", "%%h"} - {id}
    assert record_id("s", id) not in {record_id("s", other) for other in others}


def test_long_ids_that_differ_only_at_their_end_stay_apart():
    assert record_id("s", "é" * 5000 + "a") != record_id("s", "é" * 5000 + "b")


def test_a_plain_id_stays_readable_and_in_order():
    ids = [record_id("s", f"call-{number:04d}") for number in range(20)]
    assert all(found.endswith(f":call-{number:04d}") for number, found in enumerate(ids))
    assert ids == sorted(ids)
