"""Secrets in files, one each, for one machine: `<folder>/<name>`, readable by this user only.

What the operator sets elsewhere (`over`, the environment) wins over a file when a secret is read.
"""

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path

from shared.platform.secrets import SecretMissing, Secrets, SecretsUnavailable, check_name, check_value

FOLDER_MODE = 0o700


class FileSecrets:
    """Files are written whole or not at all, with mode 0600, and flushed before `put` returns."""

    def __init__(self, folder: Path, over: Secrets) -> None:
        self._folder = folder
        self._over = over

    async def get(self, name: str) -> str:
        """Raises SecretMissing, SecretsUnavailable; ValueError."""
        try:
            return await self._over.get(name)
        except SecretMissing as missing:
            value = await asyncio.to_thread(self._read, name)
            if not value:
                raise SecretMissing(f"{missing}, or keep it in {self._folder}") from None
            return value

    async def put(self, name: str, value: str) -> None:
        """Raises SecretsUnavailable; ValueError."""
        await asyncio.to_thread(self._write, check_name(name), check_value(value))

    async def delete(self, name: str) -> None:
        """Raises SecretsUnavailable; ValueError."""
        await asyncio.to_thread(self._delete, check_name(name))

    async def close(self) -> None:
        await self._over.close()

    def _read(self, name: str) -> str | None:
        try:
            return (self._folder / name).read_bytes().decode()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise _unavailable(name, "read", error) from error

    def _write(self, name: str, value: str) -> None:
        try:
            self._folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            # Its dot keeps a half-written file apart from every secret: no name has one. mkstemp gives mode 0600.
            handle, path = tempfile.mkstemp(prefix=f".{name}.", dir=self._folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(value.encode())
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(path, self._folder / name)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
                raise
            self._flush_folder()
        except OSError as error:
            raise _unavailable(name, "written", error) from error

    def _delete(self, name: str) -> None:
        try:
            (self._folder / name).unlink(missing_ok=True)
            if self._folder.exists():
                self._flush_folder()
        except OSError as error:
            raise _unavailable(name, "deleted", error) from error

    def _flush_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _unavailable(name: str, what: str, error: Exception) -> SecretsUnavailable:
    return SecretsUnavailable(f"secret {name} cannot be {what}: {type(error).__name__}")
