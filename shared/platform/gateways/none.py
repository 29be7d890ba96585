"""No gateway: consumers call AMS directly, as they do on one machine."""

from shared.platform.gateways import GatewayService


class NoGateway:
    """Consume checks everything by itself, so there is nobody to tell."""

    async def publish(self, offer: GatewayService) -> None:
        return None

    async def withdraw(self, service_id: str) -> None:
        return None

    async def close(self) -> None:
        return None
