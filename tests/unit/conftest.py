"""Fixtures of the unit tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.support import Market, open_market


@pytest.fixture
async def market(tmp_path: Path) -> AsyncIterator[Market]:
    opened = await open_market(tmp_path)
    yield opened
    await opened.close()
