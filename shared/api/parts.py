"""What the routes need of the application, by the names that `shared.bootstrap.Application` has."""

from typing import Protocol

from shared.identity.guard import Authority
from shared.metering.consume import Consume
from shared.metering.queries import UsageQueries


class Parts(Protocol):
    """Built when first used. A noun's `routes.py` reads its own part as `request.app.state.parts.<name>`."""

    @property
    def authority(self) -> Authority: ...

    @property
    def consume(self) -> Consume: ...

    @property
    def queries(self) -> UsageQueries: ...
