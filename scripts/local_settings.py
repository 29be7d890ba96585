"""Settings outside Azure, found as `func start` finds them: `Values` of local.settings.json become variables."""

import os
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parent.parent
_FILES = ("local.settings.json", "local.settings.sample.json")


class _LocalSettings(msgspec.Struct):
    values: dict[str, str] = msgspec.field(name="Values", default_factory=dict)


def use_local_settings(root: Path = ROOT) -> None:
    """Set what is not set yet, from the first of the two files that `root` has.

    A relative AMS_DATA starts at `root`, wherever a command is called. Raises ValueError, naming the file, when it is
    not what the Functions tools would accept.
    """
    path = next((path for path in (root / name for name in _FILES) if path.exists()), None)
    if path is not None:
        try:
            settings = msgspec.json.decode(path.read_bytes(), type=_LocalSettings)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path.name}: {error}") from None
        for name, value in settings.values.items():
            os.environ.setdefault(name, value)
    os.environ["AMS_DATA"] = str(root / (os.environ.get("AMS_DATA") or ".local"))
