"""What only the embedded log has to prove."""

from pathlib import Path

import pytest

from shared.platform.events.log import EventLog


async def test_a_log_refuses_another_number_of_partitions_than_it_was_made_with(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.db", partitions=4)
    await log.publish("key", [b"waits in one of four"])
    await log.close()

    with pytest.raises(ValueError, match="has 4 partitions, not 2"):
        EventLog(tmp_path / "events.db", partitions=2)
