"""The peer's containers: documents with ETags and expiry, patches, atomic batches, pages with continuations.

Written after Cosmos DB's REST documentation, not after AMS' adapter: limits, status codes and what they mean.
"""

import base64
import hashlib
import itertools
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from tests.emulators import cosmos_charges as charges
from tests.emulators.cosmos_sql import BadQuery, Path, Select, type_rank

DOCUMENT_BYTES_MAX = 2 * 1024 * 1024
BATCH_OPERATIONS_MAX = 100
PATCH_OPERATIONS_MAX = 10
RANGES = ("", "15555555", "2AAAAAAA", "FF")
"""Borders of the physical ranges: three, so that a query across partitions really fans out."""

Key = tuple[str, str]


class Refused(Exception):
    """An HTTP status that is an answer to the client."""

    def __init__(self, status: int, message: str, sub_status: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.sub_status = sub_status


@dataclass(frozen=True)
class PeerDocument:
    item: Mapping[str, Any]
    size: int
    expires_at: float
    number: int
    """Order of creation, which is what the service's resource ids give."""


@dataclass
class Answer:
    status: int
    item: Mapping[str, Any] | None
    charge: float


@dataclass
class PeerContainer:
    properties: dict[str, Any]
    clock: Callable[[], float]
    documents: dict[Key, PeerDocument] = field(default_factory=dict)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def live(self, partition: str, id: str) -> PeerDocument | None:
        stored = self.documents.get((partition, id))
        return stored if stored is not None and stored.expires_at > self.clock() else None

    def terms(self, item: Mapping[str, Any]) -> charges.Terms:
        return charges.indexed_terms(item, self.properties["indexingPolicy"])

    def read(self, partition: str, id: str) -> Answer:
        stored = self._existing(partition, id, None)
        return Answer(200, stored.item, charges.read(stored.size))

    def create(self, partition: str, item: dict[str, Any]) -> Answer:
        if self.live(partition, _id_of(item)):
            raise Refused(409, "Entity with the specified id already exists in the system.")
        stored = self._put(partition, item)
        return Answer(201, stored.item, charges.create(stored.size, self.terms(item)))

    def upsert(self, partition: str, item: dict[str, Any]) -> Answer:
        if self.live(partition, _id_of(item)):
            return self.replace(partition, item["id"], item, None)
        return self.create(partition, item)

    def replace(self, partition: str, id: str, item: dict[str, Any], if_match: str | None) -> Answer:
        old = self._existing(partition, id, if_match)
        if _id_of(item) != id:
            raise Refused(400, "replacing all attributes specified, but id differs")
        new = self._put(partition, item)
        return Answer(200, new.item, charges.replace(old.size, self.terms(old.item), new.size, self.terms(new.item)))

    def delete(self, partition: str, id: str, if_match: str | None) -> Answer:
        old = self._existing(partition, id, if_match)
        del self.documents[partition, id]
        return Answer(204, None, charges.delete(old.size, self.terms(old.item)))

    def patch(self, partition: str, id: str, operations: Sequence[dict[str, Any]], if_match: str | None) -> Answer:
        old = self._existing(partition, id, if_match)
        if not 1 <= len(operations) <= PATCH_OPERATIONS_MAX:
            raise Refused(400, "The number of patch operations can't exceed 10.")
        item = deepcopy(dict(old.item))
        for operation in operations:
            _apply_patch(item, operation)
        answer = self.replace(partition, id, item, None)
        return Answer(200, answer.item, answer.charge + charges.PATCHED_PROPERTY * len(operations))

    def batch(self, partition: str, operations: Sequence[dict[str, Any]]) -> tuple[int, list[dict[str, Any]], float]:
        """Status, one result for each operation, charge. One failure undoes all."""
        if not 1 <= len(operations) <= BATCH_OPERATIONS_MAX:
            raise Refused(400, "Batch request has more operations than what is supported.")
        before = dict(self.documents)
        results: list[dict[str, Any]] = []
        charge = 0.0
        for index, operation in enumerate(operations):
            try:
                answer = self._operate(partition, operation)
            except Refused as refused:
                self.documents = before
                failed = [{"statusCode": 424, "requestCharge": 0.0} for _ in operations]
                failed[index] = {"statusCode": refused.status, "requestCharge": charges.FAILED}
                return 207, failed, charge + charges.FAILED
            charge += answer.charge
            item = answer.item or {}
            result = {"statusCode": answer.status, "requestCharge": answer.charge, "resourceBody": item}
            results.append({**result, "eTag": item["_etag"]} if item else result)
        return 200, results, charge

    def _operate(self, partition: str, operation: dict[str, Any]) -> Answer:
        body, if_match = operation.get("resourceBody"), operation.get("ifMatch")
        match operation["operationType"]:
            case "Create":
                return self.create(partition, body)
            case "Upsert":
                return self.upsert(partition, body)
            case "Replace":
                return self.replace(partition, operation["id"], body, if_match)
            case "Delete":
                return self.delete(partition, operation["id"], if_match)
        raise Refused(400, f"unknown operation {operation['operationType']}")

    def _existing(self, partition: str, id: str, if_match: str | None) -> PeerDocument:
        stored = self.live(partition, id)
        if stored is None:
            raise Refused(404, "Entity with the specified id does not exist in the system.")
        if if_match is not None and if_match != stored.item["_etag"]:
            raise Refused(412, "One of the specified pre-condition is not met.")
        return stored

    def _put(self, partition: str, item: dict[str, Any]) -> PeerDocument:
        if item.get("partition") != partition:
            raise Refused(
                400, "PartitionKey extracted from document doesn't match the one specified in the header", 1001
            )
        old = self.live(partition, item["id"])
        number = old.number if old else next(self.numbers)
        now = self.clock()
        user = {name: value for name, value in item.items() if not name.startswith("_")}
        etag = f'"{next(self.numbers):08x}-0000"'
        complete = {**user, "_rid": f"rid{number:08d}", "_etag": etag, "_ts": int(now), "_attachments": "attachments/"}
        size = len(json.dumps(complete, ensure_ascii=False, separators=(",", ":")).encode())
        if size > DOCUMENT_BYTES_MAX:
            raise Refused(413, "Request size is too large")
        ttl = item.get("ttl", -1) if "defaultTtl" in self.properties else -1
        if not isinstance(ttl, int) or ttl == 0 or ttl < -1:
            raise Refused(400, "The input ttl is invalid. Ensure to provide a nonzero positive integer or -1.")
        stored = PeerDocument(complete, size, float("inf") if ttl == -1 else now + ttl, number)
        self.documents[partition, item["id"]] = stored
        return stored

    def check_indexed(self, select: Select) -> None:
        """The real service would scan, or refuse to order; for AMS both are a mistake."""
        included = {path["path"] for path in self.properties["indexingPolicy"]["includedPaths"]}
        for path in select.paths:
            if path != ("id",) and f"/{'/'.join(path)}/?" not in included and "/*" not in included:
                raise Refused(400, f"the path {path} is not indexed")

    def page(
        self, select: Select, scope: str | tuple[str, str], count: int, token: str | None, identity: str
    ) -> tuple[list[Any], str | None, float]:
        """Rows, continuation and charge. `scope` is a partition or the borders of a range.

        The continuation names the last row by order value and resource id, as the real one does.
        """
        bound = hashlib.sha256(repr((scope, identity)).encode()).hexdigest()[:12]
        rows = sorted(
            ((_order_key(select, s), s) for s in self._in_scope(scope) if select.condition(s.item) is True),
            key=lambda row: row[0],
            reverse=select.descending,
        )
        if token is not None:
            after = _decode_token(token, bound)
            rows = [row for row in rows if (row[0] < after if select.descending else row[0] > after)]
        page, rest = rows[:count], rows[count:]
        following = _encode_token(page[-1][0], bound) if page and rest else None
        return [select.row(s.item) for _, s in page], following, charges.query(1, [s.size for _, s in page])

    def _in_scope(self, scope: str | tuple[str, str]) -> list[PeerDocument]:
        now = self.clock()
        return [
            stored
            for (partition, _), stored in self.documents.items()
            if stored.expires_at > now
            and (partition == scope if isinstance(scope, str) else scope[0] <= hashed(partition) < scope[1])
        ]


def hashed(partition: str) -> str:
    """The peer's own effective partition key, 30 bits in hexadecimal; clients route by the ranges they are told."""
    return f"{zlib.crc32(partition.encode()) >> 2:08X}"


def _id_of(item: Mapping[str, Any]) -> str:
    name = item.get("id")
    if not isinstance(name, str) or not 1 <= len(name.encode()) <= 1023 or set("/\\?#") & set(name):
        raise Refused(400, "The input id is invalid")
    return name


def _apply_patch(item: dict[str, Any], operation: Mapping[str, Any]) -> None:
    *parents, last = [name.replace("~1", "/").replace("~0", "~") for name in operation["path"].split("/")[1:]]
    target: Any = item
    for name in parents:
        target = target.get(name) if isinstance(target, dict) else None
    if not isinstance(target, dict) or not last:
        raise Refused(400, "For Set/Incr/Remove Operation, the parent path must exist")
    match operation["op"]:
        case "set":
            target[last] = operation["value"]
        case "remove" if last in target:
            del target[last]
        case "incr" if _is_number(target.get(last, 0)) and _is_number(operation["value"]):
            target[last] = target.get(last, 0) + operation["value"]
        case _:
            raise Refused(400, f"For {operation['op']}, the path or the value does not fit")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _order_key(select: Select, stored: PeerDocument) -> list[Any]:
    path: Path | None = select.order_path
    if path is None:
        return [stored.number]
    value = select.order_value(stored.item)
    return [type_rank(value), value, stored.number]


def _encode_token(key: list[Any], bound: str) -> str:
    return base64.b64encode(json.dumps([bound, key]).encode()).decode()


def _decode_token(token: str, bound: str) -> list[Any]:
    try:
        found, key = json.loads(base64.b64decode(token))
    except ValueError:
        raise BadQuery("Invalid Continuation Token") from None
    if found != bound or not isinstance(key, list):
        raise BadQuery("Invalid Continuation Token")
    return key
