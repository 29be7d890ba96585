"""A slice in memory: one scope's usage of a service on one UTC day, while it is summed up from counters."""

from zlib import crc32

from shared.metering.counters import Bucket, Counter
from shared.metering.rollups.models import SliceHead, SliceQuarters, SliceRow, SliceRows, encode, rows_document

PART_BYTES_MAX = 1_000_000


class Slice:
    """The sums of a day: in `rows` by everything that counters tell apart, in `quarters` by time only."""

    def __init__(self) -> None:
        self.service_id = self.merchant_id = ""
        self.quarters: dict[str, Bucket] = {}
        self.rows: dict[tuple[str, ...], SliceRow] = {}

    def add_counter(self, counter: Counter) -> None:
        """Add a day's counter. Counters of the same dimensions in several shards are one row."""
        self.service_id, self.merchant_id = counter.service_id, counter.merchant_id
        dimensions = (
            counter.consumer_id,
            counter.api_key_id,
            counter.project_id,
            counter.image,
            counter.version,
            counter.feature,
        )
        row = self.rows.get(dimensions)
        if row is None:
            row = self.rows[dimensions] = SliceRow(
                service_id=counter.service_id,
                merchant_id=counter.merchant_id,
                consumer_id=counter.consumer_id,
                api_key_id=counter.api_key_id,
                project_id=counter.project_id,
                image=counter.image,
                version=counter.version,
                feature=counter.feature,
            )
        self._add(row, counter.buckets)

    def add_service(self, quarters: SliceQuarters) -> None:
        """Add a service's day as one row of the platform's slice."""
        row = SliceRow(service_id=quarters.service_id, merchant_id=quarters.merchant_id)
        self.rows[(quarters.service_id,)] = row
        self._add(row, quarters.buckets)

    def _add(self, row: SliceRow, buckets: dict[str, Bucket]) -> None:
        for name, bucket in buckets.items():
            row.sums.add(bucket)
            self.quarters.setdefault(name, Bucket()).add(bucket)

    def head_of(self, day: str, name: str, parts: int) -> SliceHead:
        """The head's document, which says that the rows are in `parts` parts."""
        total = Bucket()
        for bucket in self.quarters.values():
            total.add(bucket)
        return SliceHead(
            name=name,
            date=day,
            service_id=self.service_id,
            merchant_id=self.merchant_id,
            parts=parts,
            sums=total,
        )

    def quarters_of(self, day: str, name: str, *, of_service: bool) -> SliceQuarters:
        """The quarters' document; one of a service can be found by its day."""
        return SliceQuarters(
            name=name,
            date=day,
            service_id=self.service_id,
            merchant_id=self.merchant_id,
            buckets=self.quarters,
            day=day if of_service else "",
        )

    def parts(self, day: str, name: str) -> list[tuple[str, bytes]]:
        """Ids and bodies of the rows' documents: a power of two of them, as few as can hold all rows."""
        number = 1
        while True:
            split: list[list[SliceRow]] = [[] for _ in range(number)]
            for dimensions, row in self.rows.items():
                split[crc32("\0".join(dimensions).encode()) % number].append(row)
            bodies = [encode(SliceRows(name=name, date=day, parts=number, rows=rows)) for rows in split]
            if all(len(body) <= PART_BYTES_MAX for body in bodies):
                return [(rows_document(day, name, number, n), body) for n, body in enumerate(bodies)]
            number *= 2
