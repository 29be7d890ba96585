"""Pseudonyms: the same for ever for one merchant and one consumer, and linked to nothing else."""

import re

from hypothesis import given
from hypothesis import strategies as st

from shared.access.pseudonyms import PSEUDONYM_SECRET, Pseudonyms

KNOWN = "cus_pxr65xmrqx6tmx6g74kgdfnthw"
"""Computed apart: printf 'mer_1\\0con_1' | openssl dgst -sha256 -hmac pepper -binary | base32."""

IDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=64)


def pseudonyms(pepper: str = "pepper") -> Pseudonyms:
    async def load(name: str) -> str:
        assert name == PSEUDONYM_SECRET
        return pepper

    return Pseudonyms(load)


async def test_it_is_stable_across_processes() -> None:
    assert await pseudonyms().of("mer_1", "con_1") == await pseudonyms().of("mer_1", "con_1") == KNOWN


async def test_merchants_consumers_and_peppers_all_count() -> None:
    made = {
        await pseudonyms(pepper).of(merchant, consumer)
        for pepper in ("a", "b")
        for merchant in ("mer_1", "mer_2")
        for consumer in ("con_1", "con_2")
    }
    assert len(made) == 8


@given(IDS, IDS)
async def test_it_has_one_shape_and_names_nobody(merchant: str, consumer: str) -> None:
    made = await pseudonyms().of(merchant, consumer)
    assert re.fullmatch("cus_[a-z2-7]{26}", made)


async def test_where_one_id_ends_and_the_other_begins_counts() -> None:
    assert await pseudonyms().of("ab", "c") != await pseudonyms().of("a", "bc")
