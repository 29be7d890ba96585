"""The composition root: picks adapters by profile and builds the services, once per process and lazily.

Adapters are imported where they are chosen, so that a process pays only for those it uses. Each module here holds the
parts of one noun, and inherits from those whose parts it needs, as the layers do.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TYPE_CHECKING

from shared.bootstrap.azure import BLOB_CONTAINER, CHECKPOINT_CONTAINER, SITE_CONTAINER
from shared.bootstrap.tasks import Tasks
from shared.kernel.errors import Unavailable
from shared.platform.secrets import SecretMissing
from shared.settings import load_settings

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["BLOB_CONTAINER", "CHECKPOINT_CONTAINER", "SITE_CONTAINER", "Application", "application", "close"]

READY_S = 5.0
_CLOSED = (
    "refusals",
    "tokens",
    "provider_http",
    "mail",
    "gateway",
    "spool",
    "upstream",
    "events",
    "documents",
    "blobs",
    "secrets",
    "limits",
    "site",
    "search_index",
)


class Application(Tasks):
    """Everything a trigger may need. Attributes are built when first used."""

    @cached_property
    def api(self) -> "FastAPI":
        from shared.api.app import create_app

        return create_app(self)

    async def readiness(self) -> dict[str, str | None]:
        """What consume needs, by name: None when it works, else why it does not."""
        checks: dict[str, Callable[[], Awaitable[object]]] = {
            # Called late: an adapter that is opened here for the first time may refuse as well.
            "documents": lambda: self.documents.ready(),
            "events": lambda: self.events.ready(),
            "blobs": lambda: self.blobs.ready(),
            "secrets": self.load_hasher,
            "spool": lambda: self.spool.ready(),
        }
        return {name: await _reason(check) for name, check in checks.items()}

    async def close(self) -> None:
        """Finish what the journal began, then close what was built; the spool first, since it ships to the stream."""
        if "sessions" in self.__dict__:
            await self.sessions.drain()
        if "journal" in self.__dict__:
            await self.journal.drain()
        for runner in ("report_runner", "filing_runner"):
            if runner in self.__dict__:
                await self.__dict__[runner].close()
                await self.journal.drain()  # what a report left that came to its end meanwhile
        for name in _CLOSED:
            if name in self.__dict__:
                await getattr(self, name).close()


async def _reason(check: Callable[[], Awaitable[object]]) -> str | None:
    try:
        async with asyncio.timeout(READY_S):
            await check()
    except TimeoutError:
        return f"no answer within {READY_S:g} s"
    except (Unavailable, SecretMissing, ValueError) as error:
        return str(error)
    return None


_application: Application | None = None


def application() -> Application:
    """This process's application, built at the first call. Raises SettingsError."""
    global _application
    if _application is None:
        _application = Application(load_settings(os.environ))
    return _application


async def close() -> None:
    """Finish what is under way and close every adapter; `application` builds anew afterwards."""
    global _application
    if _application is not None:
        closing, _application = _application, None
        await closing.close()
