"""Usage that was counted a few days ago, for whoever reads it over the API."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.kernel.clock import format_time, utc_now
from shared.metering.counting.aggregator import RawEvent
from shared.metering.events import EVENT_TYPE, UsageData, UsageEvent, encode_event
from tests.support.api.access_market import AccessMarket

DAY = (utc_now() - timedelta(days=6)).replace(hour=0, minute=0, second=0, microsecond=0)


RANGE = {"from": f"{DAY:%Y-%m-%d}", "to": f"{DAY + timedelta(days=5):%Y-%m-%d}"}


@dataclass
class Used(AccessMarket):
    """`key_plain` and, of the project `road`, `key_road`; four requests on the first day, one on the third."""

    road: str


async def used(market: AccessMarket, id: str, key_id: str, moment: datetime = DAY, **changes: Any) -> None:
    """Count an event of Ann's, unless `changes` say whose."""
    data = changes.pop("data", {"status_code": 200})
    fields: dict[str, Any] = {
        "id": id,
        "source": "tests",
        "type": EVENT_TYPE,
        "subject": "maps",
        "time": format_time(moment),
        "consumer_id": market.consumer_id,
        "api_key_id": key_id,
        "service_id": "svc_maps",
        "merchant_id": "mer_1",
        "received_at": format_time(utc_now()),
        "specversion": "1.0",
        **changes,
    }
    event = UsageEvent(**{**fields, "data": UsageData(**data)})
    outcome = await market.api.app.metering.aggregator.apply([RawEvent(encode_event(event), event.consumer_id)])
    assert outcome.counted == 1
