"""API keys: made, rotated, ended, reported as leaked."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.bootstrap.access import Access

if TYPE_CHECKING:
    from shared.access.expiry import ExpiryNotices
    from shared.access.issuing import KeyIssuing
    from shared.access.key_desk import KeyDesk
    from shared.access.key_letters import KeyLetters
    from shared.access.key_secrets import KeySecrets
    from shared.access.key_writes import KeyWriter
    from shared.access.leak_keys import LeakKeys
    from shared.access.leaks import LeakReports
    from shared.access.rotation import Rotation
    from shared.access.subscriber_keys import SubscriberKeys


class Keys(Access):
    """The parts of `shared.access` that deal with keys."""

    @cached_property
    def key_writer(self) -> "KeyWriter":
        from shared.access.key_writes import KeyWriter

        return KeyWriter(self.access, self.journal)

    @cached_property
    def key_secrets(self) -> "KeySecrets":
        from shared.access.key_secrets import KeySecrets

        return KeySecrets(self.access, self.load_hasher)

    @cached_property
    def key_letters(self) -> "KeyLetters":
        from shared.access.key_letters import KeyLetters

        return KeyLetters(self.access, self.letters)

    @cached_property
    def key_issuing(self) -> "KeyIssuing":
        from shared.access.issuing import KeyIssuing

        return KeyIssuing(self.access, self.key_secrets, self.journal, self.platform_settings)

    @cached_property
    def keys(self) -> "KeyDesk":
        from shared.access.key_desk import KeyDesk

        return KeyDesk(self.access, self.key_writer)

    @cached_property
    def rotation(self) -> "Rotation":
        from shared.access.rotation import Rotation

        return Rotation(self.access, self.key_secrets, self.key_writer, self.platform_settings, self.key_letters)

    @cached_property
    def subscriber_keys(self) -> "SubscriberKeys":
        from shared.access.subscriber_keys import SubscriberKeys

        return SubscriberKeys(self.subscribers, self.key_writer, self.key_letters)

    @cached_property
    def expiry_notices(self) -> "ExpiryNotices":
        from shared.access.expiry import ExpiryNotices

        return ExpiryNotices(self.access, self.key_writer, self.key_letters)

    @cached_property
    def leak_keys(self) -> "LeakKeys | None":
        from shared.access.leak_keys import LeakKeys

        url = self.settings.ams_leak_keys_url
        return None if url is None else LeakKeys(url, self.provider_http)

    @cached_property
    def leak_reports(self) -> "LeakReports":
        from shared.access.leaks import LeakReports

        return LeakReports(
            self.access, self.key_secrets, self.key_writer, self.platform_settings, self.key_letters, self.leak_keys
        )
