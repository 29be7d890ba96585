"""API keys: made, rotated, ended, reported as leaked."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.bootstrap.access import Access

if TYPE_CHECKING:
    from shared.access.keys.creation import KeyIssuing
    from shared.access.keys.expiry import ExpiryNotices
    from shared.access.keys.mails import KeyMails
    from shared.access.keys.rotation import Rotation
    from shared.access.keys.secrets import KeySecrets
    from shared.access.keys.service import Keys
    from shared.access.keys.writer import KeyWriter
    from shared.access.leaks.reporter_keys import LeakKeys
    from shared.access.leaks.service import LeakReports
    from shared.access.subscribers.key_revocation import SubscriberKeys


class KeyParts(Access):
    """The parts of `shared.access` that deal with keys."""

    @cached_property
    def key_writer(self) -> "KeyWriter":
        from shared.access.keys.writer import KeyWriter

        return KeyWriter(self.access, self.journal)

    @cached_property
    def key_secrets(self) -> "KeySecrets":
        from shared.access.keys.secrets import KeySecrets

        return KeySecrets(self.access, self.load_hasher)

    @cached_property
    def key_mails(self) -> "KeyMails":
        from shared.access.keys.mails import KeyMails

        return KeyMails(self.access, self.mails)

    @cached_property
    def key_issuing(self) -> "KeyIssuing":
        from shared.access.keys.creation import KeyIssuing

        return KeyIssuing(self.access, self.key_secrets, self.journal, self.platform_settings)

    @cached_property
    def keys(self) -> "Keys":
        from shared.access.keys.service import Keys

        return Keys(self.access, self.key_writer)

    @cached_property
    def rotation(self) -> "Rotation":
        from shared.access.keys.rotation import Rotation

        return Rotation(self.access, self.key_secrets, self.key_writer, self.platform_settings, self.key_mails)

    @cached_property
    def subscriber_keys(self) -> "SubscriberKeys":
        from shared.access.subscribers.key_revocation import SubscriberKeys

        return SubscriberKeys(self.subscribers, self.key_writer, self.key_mails)

    @cached_property
    def expiry_notices(self) -> "ExpiryNotices":
        from shared.access.keys.expiry import ExpiryNotices

        return ExpiryNotices(self.access, self.key_writer, self.key_mails)

    @cached_property
    def leak_keys(self) -> "LeakKeys | None":
        from shared.access.leaks.reporter_keys import LeakKeys

        url = self.settings.ams_leak_keys_url
        return None if url is None else LeakKeys(url, self.provider_http)

    @cached_property
    def leak_reports(self) -> "LeakReports":
        from shared.access.leaks.service import LeakReports

        return LeakReports(
            self.access, self.key_secrets, self.key_writer, self.platform_settings, self.key_mails, self.leak_keys
        )
