"""What operators see of usage: everybody's, by merchant and service."""

from shared.metering.views.reader import UsageReader
from shared.metering.views.selection import SummedUsage, UsageSelection


class PlatformUsage:
    """What operators may see: all usage."""

    def __init__(self, reader: UsageReader) -> None:
        self._reader = reader

    async def sums(self, selection: UsageSelection) -> SummedUsage:
        """Sums of everybody's usage. Raises Problem 400 `range_invalid`."""
        service_id = selection.only.get("service")
        if service_id is not None and selection.dimensions == {"service"}:
            return await self._reader.services([service_id], selection)  # its own slices know every quarter hour
        return await self._reader.platform(selection)
