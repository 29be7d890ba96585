"""Settings as `func start` loads them: `Values` of local.settings.json become environment variables."""

import os
from pathlib import Path

import msgspec

_FILES = ("local.settings.json", "local.settings.sample.json")


class _LocalSettings(msgspec.Struct):
    values: dict[str, str] = msgspec.field(name="Values", default_factory=dict)


def load_local_settings(root: Path) -> Path | None:
    """Set what is not set yet, from the first of the two files that exists, and return that file.

    Raises ValueError naming the file when it is not what `func` would take.
    """
    for path in (root / name for name in _FILES):
        if not path.exists():
            continue
        try:
            settings = msgspec.json.decode(path.read_bytes(), type=_LocalSettings)
        except msgspec.DecodeError as error:
            raise ValueError(f"{path.name}: {error}") from None
        for name, value in settings.values.items():
            os.environ.setdefault(name, value)
        return path
    return None
