"""Settings for commands outside Azure, found as the Functions tools find them."""

import json
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def use_local_settings() -> None:
    """Put `Values` of local.settings.json, else of the sample, into the environment; what is set already stays.

    A relative AMS_DATA starts at the project's folder, as for the local host, wherever a command is called.

    Raises ValueError, naming the file, when it is not what the Functions tools would accept.
    """
    own, sample = ROOT / "local.settings.json", ROOT / "local.settings.sample.json"
    path = own if own.exists() else sample
    try:
        values = json.loads(path.read_text())["Values"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path.name} must be JSON with an object named Values: {error}") from error
    for name, value in values.items():
        os.environ.setdefault(name, str(value))
    os.environ["AMS_DATA"] = str(ROOT / (os.environ.get("AMS_DATA") or ".local"))
