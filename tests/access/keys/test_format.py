"""API keys: their shape, their checksum and how they are hashed."""

import re

import pytest

from shared.access.keys.format import CHECKSUM_CHARACTERS, KeyHasher, is_well_formed, new_key

HASH = re.compile(r"v[12]\.[0-9a-f]{64}")


@pytest.mark.parametrize("environment", ["live", "test"])
def test_a_new_key_has_its_environment_and_the_promised_length(environment):
    key = new_key(environment)
    assert re.fullmatch(rf"ams_{environment}_[0-9A-Za-z]{{38}}", key)


def test_20000_new_keys_are_different_and_well_formed():
    keys = {new_key("live") for _ in range(20_000)}
    assert len(keys) == 20_000
    assert all(map(is_well_formed, keys))


def test_every_single_changed_character_breaks_the_checksum():
    key = new_key("live")
    for place in range(len("ams_live_"), len(key)):
        other = "a" if key[place] != "a" else "b"
        assert not is_well_formed(key[:place] + other + key[place + 1 :]), place


def test_the_environment_is_part_of_the_checksum():
    assert not is_well_formed(new_key("live").replace("live", "test"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key[:-1],
        lambda key: key + "0",
        lambda key: key + "\n",
        lambda key: " " + key,
        lambda key: key.upper(),
        lambda key: key.replace("ams_", "amx_"),
        lambda key: key[:12] + "-" + key[13:],
        lambda key: key[:12] + "é" + key[13:],
        lambda key: key[:12] + "\0" + key[13:],
        lambda key: key[:12] + "\ud800" + key[13:],
        lambda key: key[:-CHECKSUM_CHARACTERS] + "000000",
        lambda _: "",
        lambda _: "ams_live_",
        lambda _: "a" * 100_000,
    ],
)
def test_a_key_of_another_shape_is_not_well_formed(spoil):
    assert not is_well_formed(spoil("ams_live_0000000000000000000000000000000000000A"))
    assert not is_well_formed(spoil(new_key("live")))


def test_given_two_peppers_a_key_is_hashed_under_the_current_one_and_looked_up_under_both():
    key = new_key("live")
    hasher = KeyHasher({1: "old", 2: "new"}, 2)
    assert hasher.hash(key) == KeyHasher({2: "new"}, 2).hash(key)
    assert hasher.candidates(key) == [hasher.hash(key), KeyHasher({1: "old"}, 1).hash(key)]


def test_the_current_pepper_is_tried_first_even_when_its_version_is_lower():
    hasher = KeyHasher({1: "a", 2: "b"}, 1)
    assert [candidate[:3] for candidate in hasher.candidates("key")] == ["v1.", "v2."]


def test_another_pepper_gives_another_hash():
    assert KeyHasher({1: "a"}, 1).hash("key") != KeyHasher({1: "b"}, 1).hash("key")


@pytest.mark.parametrize("text", ["", "ams_live_x", new_key("test"), "é" * 5000], ids=["empty", "short", "key", "long"])
def test_a_hash_has_one_shape_whatever_the_key(text):
    hashed = KeyHasher({1: "pepper"}, 1).hash(text)
    assert HASH.fullmatch(hashed)
    assert hashed == KeyHasher({1: "pepper"}, 1).hash(text)


def test_a_hasher_without_the_current_pepper_is_refused():
    with pytest.raises(ValueError, match="version 2 is missing"):
        KeyHasher({1: "a"}, 2)
