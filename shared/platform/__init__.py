"""Every way out: one folder per port. `__init__.py` is the port, the others are its adapters and their
parts; `sqlite.py` is what the embedded ones share."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shared.platform.blobs import Blobs
    from shared.platform.documents import Documents
    from shared.platform.events import Events
    from shared.platform.gateways import Gateway
    from shared.platform.limits import Limits
    from shared.platform.mail import Mail
    from shared.platform.search import SearchIndex
    from shared.platform.secrets import Secrets
    from shared.platform.spool import Spool
    from shared.platform.upstream import Upstream


class Ports(Protocol):
    """All ports of a process, each with the adapter that its profile chooses, opened when it is first used."""

    @property
    def now(self) -> "Callable[[], datetime]":
        """The time, for every service."""
        ...

    @property
    def documents(self) -> "Documents": ...

    @property
    def events(self) -> "Events": ...

    @property
    def blobs(self) -> "Blobs": ...

    @property
    def site(self) -> "Blobs":
        """The static site's files."""
        ...

    @property
    def secrets(self) -> "Secrets": ...

    @property
    def limits(self) -> "Limits": ...

    @property
    def spool(self) -> "Spool": ...

    @property
    def upstream(self) -> "Upstream":
        """Calls to merchants' APIs: addresses are checked."""
        ...

    @property
    def provider_http(self) -> "Upstream":
        """Calls to sign-in providers and reporters' keys, which the operator names: any address."""
        ...

    @property
    def mail(self) -> "Mail": ...

    @property
    def gateway(self) -> "Gateway": ...

    @property
    def search_index(self) -> "SearchIndex": ...
