"""Secrets from environment variables: `key-pepper-v1` is `AMS_SECRET_KEY_PEPPER_V1`."""

from collections.abc import Mapping

from shared.platform.secrets import SecretMissing, check_name

PREFIX = "AMS_SECRET_"


class EnvironmentSecrets:
    """`environ` is read at every call. A variable that is set to nothing counts as missing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    async def get(self, name: str) -> str:
        """Raises SecretMissing; ValueError."""
        variable = PREFIX + check_name(name).upper().replace("-", "_")
        value = self._environ.get(variable)
        if not value:
            raise SecretMissing(f"secret {name} is missing: set {variable}")
        return value

    async def close(self) -> None:
        """Nothing is kept open."""
