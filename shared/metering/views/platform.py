"""What operators see of usage: everybody's, by merchant and service."""

from shared.metering.views.reader import Ask, Summed, UsageReader


class PlatformUsage:
    def __init__(self, reader: UsageReader) -> None:
        self._reader = reader

    async def sums(self, ask: Ask) -> Summed:
        """Raises Problem 400 `range_invalid`."""
        service_id = ask.only.get("service")
        if service_id is not None and ask.dimensions == {"service"}:
            return await self._reader.services([service_id], ask)  # its own slices know every quarter hour
        return await self._reader.platform(ask)
