"""The consumers and API keys of a replay, and the small file that remembers them.

The keys are needed again by the next run, because a summary shows the usage of one key only, and AMS shows a key once.
So they are kept below AMS_DATA, readable by its owner alone. The file is written whole, after the keys were made and
before the first event is sent: a run that was killed earlier leaves keys that never counted anything.
"""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from scripts.seeding.billing import DescribedBilling, DescribedPrices
from scripts.seeding.loader import seed
from scripts.seeding.market import (
    DescribedConsumer,
    DescribedGrant,
    DescribedKey,
    DescribedMerchant,
    DescribedService,
    Market,
)
from shared.kernel.clock import utc_now

CONSUMERS_DEFAULT = 200
SERVICE_SLUG = "access-log"
PRICES = DescribedPrices.model_validate(
    {
        "currency": "EUR",
        "charges": [
            {
                "id": "requests",
                "name": "Requests",
                "metric": "requests",
                "model": "per_unit",
                "unit_price": "0.01",
                "client_errors": [404],
            },
            {
                "id": "data",
                "name": "Data sent",
                "metric": "response_mb",
                "model": "per_unit",
                "unit_price": "0.05",
                "client_errors": [404],
            },
        ],
    }
)
"""Per request and per MB, answered with success or 404."""

_MERCHANT_ID, _SERVICE_ID = "mer_access_log", "svc_access_log"


class ReplayRefused(ValueError):
    """This log cannot be replayed with these options; the message says why and what to do."""


class Replay(BaseModel):
    """What the first run of a log decided and every later one keeps.

    `log` is the SHA-256 of the unpacked log. The first `consumers` addresses have a key of their own: `keys[n]` belongs
    to the n-th address, a last one to all others. `first_run_at` is what the newest line's time is shifted to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    log: str
    consumers: Annotated[int, Field(ge=1)]
    first_run_at: AwareDatetime
    keys: Annotated[tuple[str, ...], Field(repr=False)]

    @property
    def source(self) -> str:
        """The events' CloudEvents source: same log, same source, whatever the file is called."""
        return f"replay/{self.log[:32]}"

    @property
    def file_name(self) -> str:
        return state_name(self.log)

    def slot(self, address_number: int) -> int:
        """Choose the key that the n-th address (from 0, by first appearance) uses."""
        return min(address_number, self.consumers)


def state_name(log: str) -> str:
    """Name the file that has the state of a log, by the log's hash."""
    return f"{log[:32]}.json"


async def open_replay(folder: Path, log: str, addresses: int, consumers: int | None) -> Replay:
    """Open the replay of a log with that many addresses: as it was begun, else a new one with new keys.

    Raises ReplayRefused when it was begun with another number of consumers: its lines would move to other consumers and
    be counted there a second time.
    """
    path = folder / state_name(log)
    replay = _read(path)
    if replay is None:
        wanted = consumers or CONSUMERS_DEFAULT
        keys = await _make_keys(min(wanted, addresses) + (addresses > wanted))
        _write_new(path, Replay(log=log, consumers=wanted, first_run_at=utc_now(), keys=keys))
        replay = _read(path)  # perhaps another run's, which was faster
        assert replay is not None
    if consumers not in (None, replay.consumers):
        raise ReplayRefused(
            f"this log was replayed with --consumers {replay.consumers}: use that again, for with another number its"
            " lines would be counted a second time"
        )
    return replay


async def _make_keys(count: int) -> tuple[str, ...]:
    run = secrets.token_hex(4)  # a killed run's keys may exist, and their clear text is lost
    ids = [f"key_replay_{run}_{number}" for number in range(count)]
    market = Market(
        merchants=(
            DescribedMerchant(
                id=_MERCHANT_ID,
                slug=SERVICE_SLUG,
                name="Access log replay",
                status="active",
                billing=DescribedBilling(number_prefix="LOG", payment_details="Replayed usage: nothing is to be paid."),
            ),
        ),
        services=(
            DescribedService(
                id=_SERVICE_ID,
                merchant_id=_MERCHANT_ID,
                slug=SERVICE_SLUG,
                name="Access log",
                status="active",
                prices=PRICES,
            ),
        ),
        consumers=tuple(
            DescribedConsumer(
                id=f"con_replay_{number}",
                name=f"Replayed client {number}",
                grants=(DescribedGrant(service=SERVICE_SLUG),),
                keys=(DescribedKey(id=key_id, name="access log replay", services=(SERVICE_SLUG,)),),
            )
            for number, key_id in enumerate(ids)
        ),
    )
    shown = {key["id"]: key["key"] for key in await seed(market)}
    return tuple(shown[key_id] for key_id in ids)


def _read(path: Path) -> Replay | None:
    try:
        return Replay.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError):
        raise ReplayRefused(f"{path} is not readable as the state of a replay") from None


def _write_new(path: Path, replay: Replay) -> None:
    """Write a file that is durable and whole, or not there. An existing file stays as it is."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    incoming = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(incoming, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(replay.model_dump_json(indent=2).encode())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(incoming, path)
    finally:
        incoming.unlink()
