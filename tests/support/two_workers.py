"""Which tests may run beside which, with pytest-xdist (`-n 2`).

The tests of a file go to one worker, and so do those of a group of folders. The marker `xdist_group` would say this of
single tests, but pytest-xdist 3.8.0 does not find it in the ids of pytest 9.2.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling, Scheduling

GROUPS = {
    "machine": ("tests/chaos/", "tests/e2e/", "tests/functions/", "tests/scripts/host/"),
    "azurite": ("tests/platform/blobs/", "tests/platform/events/"),
}
"""`machine`: start hosts, kill processes, fill disks and measure time, one after the other. `azurite`: share one."""
APART = ("tests/e2e/test_schemathesis.py",)
"""Files of few tests that take a minute or more each: each test goes where there is room."""


class ByGroup(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(APART):
            return nodeid
        return next((group for group, folders in GROUPS.items() if nodeid.startswith(folders)), nodeid.split("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return ByGroup(config, log)
