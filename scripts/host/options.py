"""What the host is told: from the command line and the environment to every process, as one JSON argument."""

import os
from pathlib import Path
from typing import Annotated

import msgspec
from pydantic import BaseModel, ConfigDict, Field

LIMITS_VARIABLE = "AMS_HOST_LIMITS"
"""A JSON object with fields of `HostLimits` to change, such as `{"keep_alive_s": 30}`."""

EXIT_MISCONFIGURED = 78
"""sysexits.h EX_CONFIG: starting again would not help."""

Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]


class HostLimits(BaseModel):
    """What one client may take. `_s` is seconds, `_bytes` bytes. The timeouts are kept to about 0.1 s."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    header_count_max: Count = 100
    header_bytes_max: Count = 64 * 1024
    """Names and values of one request, all in all."""

    target_bytes_max: Count = 8 * 1024
    """Path and query as they are on the request line."""

    body_bytes_max: Count = 100 * 1024 * 1024
    """For functions that take the body whole; Azure's own limit. Functions that stream set theirs."""

    pipeline_requests_max: Count = 256
    """Requests that one connection may have waiting behind the one that is being answered."""

    discard_bytes_max: Count = 256 * 1024
    """How much of a body that nobody read is read on, so that the connection can be used again."""

    header_read_s: Seconds = 10.0
    """From a request's first byte to the end of its headers."""

    body_stall_s: Seconds = 30.0
    """Without a byte of the body, while the function is ready to take one."""

    write_stall_s: Seconds = 60.0
    """With a full send buffer of which the client takes nothing."""

    keep_alive_s: Seconds = 65.0
    """Without a request; over the 60 s of common load balancers, which must be the ones to close."""

    linger_s: Seconds = 2.0
    """Reading on after a refusal: closing at once would reset the connection before the client has read why."""

    drain_s: Seconds = 30.0
    """For requests, event batches and timers under way when the host is told to stop."""

    close_s: Seconds = 10.0
    """For closing what the functions opened, after that."""

    @property
    def end_s(self) -> float:
        """Seconds after which a process that was told to stop, and is still there, is killed."""
        return self.drain_s + self.close_s + 1.0


class Options(BaseModel):
    """What each process of the host is told: `root` holds function_app.py, host.json and portal-static/; `module` is
    the function app's module name."""

    model_config = ConfigDict(frozen=True)

    root: Path
    data: Path
    module: str = "function_app"
    log_level: str = "info"
    limits: HostLimits = HostLimits()


def limits_from_environment() -> HostLimits:
    """Read the limits from the setting AMS_HOST_LIMITS. Raises pydantic's ValidationError, a ValueError."""
    return HostLimits.model_validate_json(os.environ.get(LIMITS_VARIABLE) or "{}")


class EventHubSettings(msgspec.Struct, frozen=True, rename="camel"):
    """What this host reads of `extensions.eventHubs` in host.json."""

    max_event_batch_size: int = 100


class HttpSettings(msgspec.Struct, frozen=True, rename="camel"):
    """What this host reads of `extensions.http` in host.json."""

    route_prefix: str = "api"


class Extensions(msgspec.Struct, frozen=True, rename="camel"):
    """What this host reads of `extensions` in host.json."""

    http: HttpSettings = HttpSettings()
    event_hubs: EventHubSettings = EventHubSettings()


class HostFile(msgspec.Struct, frozen=True):
    """What this host reads of host.json, with the defaults of Azure."""

    extensions: Extensions = Extensions()


def read_host_file(root: Path) -> HostFile:
    """Read host.json. Raises msgspec.ValidationError, a ValueError, for a file that cannot be used."""
    path = root / "host.json"
    return msgspec.json.decode(path.read_bytes(), type=HostFile) if path.exists() else HostFile()
