"""Secrets from environment variables: `key-pepper-v1` is `AMS_SECRET_KEY_PEPPER_V1`. Only an operator changes them."""

from collections.abc import Mapping

from shared.platform.secrets import SecretMissing, SecretsUnavailable, check_name, check_value

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

    async def put(self, name: str, value: str) -> None:
        """Raises SecretsUnavailable: only an operator sets a variable."""
        check_name(name)
        check_value(value)
        raise SecretsUnavailable("secrets cannot be kept in environment variables: set AMS_KEYVAULT_URL")

    async def delete(self, name: str) -> None:
        """Raises SecretsUnavailable when there is one: only an operator unsets a variable."""
        if PREFIX + check_name(name).upper().replace("-", "_") in self._environ:
            raise SecretsUnavailable("secrets cannot be taken out of environment variables")

    async def close(self) -> None:
        """Nothing is kept open."""
