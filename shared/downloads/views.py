"""A link to a document, as the API shows it."""

from pydantic import AwareDatetime

from shared.downloads.service import Link
from shared.kernel.http.schemas import View


class DownloadLinkView(View):
    """A short-lived link to a document. Each request for a link is recorded in the audit log."""

    url: str
    """The link. It needs no other credentials."""
    expires_at: AwareDatetime
    """Time at which the link expires, a few minutes after its creation."""

    @classmethod
    def of(cls, link: Link) -> "DownloadLinkView":
        return cls(url=link.url, expires_at=link.expires_at)
