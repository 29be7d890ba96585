"""Price plans' documents in and out."""

from shared.billing.prices.models import Plan
from shared.billing.store import BillingStore
from shared.kernel.documents import Stored


def plan_document(service_id: str, number: int) -> str:
    """Name the document of a version of a service's plan."""
    return f"plan:{service_id}:{number:06d}"


class PlanStore(BillingStore):
    """Reads the versions of price plans, in the partition of the merchant."""

    async def plan(self, merchant_id: str, service_id: str, number: int) -> Stored[Plan] | None:
        """Read one version; None where there is none."""
        return await self.get(Plan, merchant_id, plan_document(service_id, number))

    async def plans(self, merchant_id: str, service_id: str | None = None) -> list[Plan]:
        """List all versions of a service's plan, or of all services of the merchant, by service and number."""
        prefix = "plan:" if service_id is None else f"plan:{service_id}:"
        return [stored.value async for stored in self._all(Plan, merchant_id, prefix)]
