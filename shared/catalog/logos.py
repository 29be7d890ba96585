"""Logos: a picture that somebody sent is decoded and written anew, so nothing but pixels gets through.

Kept in blobs under a hash of their content, so a name never changes its picture and may be cached for ever.
"""

import asyncio
import io
import warnings
from hashlib import sha256

from shared.kernel.errors import FieldError, Problem
from shared.platform.blobs import BlobExists, Blobs

LOGO_BYTES_MAX = 512 * 1024
LOGO_SIDE_MAX = 1_024
"""Pixels; a larger picture is refused, not scaled."""

FORMATS = ("PNG", "JPEG", "WEBP")
CONTENT_TYPE = "image/png"
FOLDER = "catalog/logos"


def logo_path(logo: str | None) -> str | None:
    """Return the path at which the logo of a service or merchant is served; `logo` is its blob's name."""
    return None if logo is None else f"/api/v1/{logo}"


async def keep_logo(blobs: Blobs, data: bytes) -> str:
    """Write a logo. Returns its blob name, `catalog/logos/<hash>.png`. Raises Problem 400 `image_invalid`, 413."""
    if len(data) > LOGO_BYTES_MAX:
        raise Problem(413, "body_too_large", f"A logo is at most {LOGO_BYTES_MAX} bytes.")
    clean = await asyncio.to_thread(_as_png, data)
    name = f"{FOLDER}/{sha256(clean).hexdigest()[:40]}.png"
    try:
        await blobs.put(name, clean, content_type=CONTENT_TYPE)
    except BlobExists:
        return name  # the same picture
    return name


def _as_png(data: bytes) -> bytes:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # The size is known from the header: a bomb is refused before a pixel of it is decoded.
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                if max(picture.size) > LOGO_SIDE_MAX:
                    raise _invalid(f"must be at most {LOGO_SIDE_MAX} x {LOGO_SIDE_MAX} pixels")
                plain = picture.convert("RGBA")
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
        OSError,
        ValueError,
        SyntaxError,
    ) as error:
        raise _invalid("must be a PNG, JPEG or WebP picture") from error
    written = io.BytesIO()
    plain.save(written, "PNG", optimize=True)
    return written.getvalue()


def _invalid(rule: str) -> Problem:
    return Problem(400, "image_invalid", f"The body {rule}.", errors=(FieldError("body", rule),))
