"""The market of a chaos run: three consumers with four keys, two services, one of them with an upstream."""

from typing import Any, NamedTuple

API, IMAGE = "api", "image"
SERVICES = {API: "svc_api", IMAGE: "svc_image"}
UPSTREAM_TIMEOUT_S = 2.0
SPREAD_SHARDS = 4

CALLS_PER_MINUTE = 1_000_000_000
"""Never reached: it makes every call pass the shared table of rate limits, which processes die in as well."""


class Key(NamedTuple):
    """`second` tells a consumer's second key."""

    id: str
    consumer: str
    second: bool = False


KEYS = (
    Key("key_one", "con_one"),
    Key("key_one_b", "con_one", second=True),
    Key("key_spread", "con_spread"),
    Key("key_three", "con_three"),
)
SHARDS = {"con_one": 1, "con_spread": SPREAD_SHARDS, "con_three": 1}
PARTITIONS = {f"{consumer}:{shard}": consumer for consumer, shards in SHARDS.items() for shard in range(shards)}


def market(upstream_port: int) -> dict[str, Any]:
    """What `scripts/ams seed --from` loads."""
    upstream = {"base_url": f"http://127.0.0.1:{upstream_port}/merchant", "timeout_s": UPSTREAM_TIMEOUT_S}
    service = {"merchant_id": "mer_one", "status": "active", "limits": {"per_minute": CALLS_PER_MINUTE}}
    return {
        "merchants": [{"id": "mer_one", "slug": "one", "name": "One", "status": "active"}],
        "services": [
            {**service, "id": SERVICES[API], "slug": API, "name": "An API", "upstream": upstream},
            {**service, "id": SERVICES[IMAGE], "slug": IMAGE, "name": "A container", "type": "image"},
        ],
        "consumers": [
            {
                "id": consumer,
                "name": consumer,
                "shards": shards,
                "grants": [{"service": slug} for slug in SERVICES],
                "keys": [{"id": key.id, "services": list(SERVICES)} for key in KEYS if key.consumer == consumer],
            }
            for consumer, shards in SHARDS.items()
        ],
    }
