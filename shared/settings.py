"""Environment → one frozen object, validated once. Every setting is explained in docs/settings.md."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from shared.identity.models import clean_email
from shared.identity.sign_in.issuers import Issuers

AZURE_REQUIRED = (
    "ams_cosmos_endpoint",
    "usage_hub_fully_qualified_namespace",
    "ams_blob_account_url",
)


class SettingsError(ValueError):
    """The environment does not describe a working configuration; the message names each variable and its rule."""


def _split_admins(value: object) -> object:
    """E-mail addresses in lower case, and `issuer|subject` as they are."""
    if not isinstance(value, str):
        return value
    names = [part.strip() for part in value.split(",") if part.strip()]
    admins = [name if "|" in name else clean_email(name) for name in names]
    if None in admins:
        raise ValueError("must be e-mail addresses or issuer|subject, separated by commas")
    return tuple(admins)


def variable(field: str) -> str:
    """The environment variable of a field. The hub's namespace is named as the Functions trigger wants it."""
    if field == "usage_hub_fully_qualified_namespace":
        return "USAGE_HUB__fullyQualifiedNamespace"
    return field.upper()


class Settings(BaseSettings):
    """Field names are the environment variables' in lower case. `_s` is seconds, `_ms` milliseconds."""

    model_config = SettingsConfigDict(
        frozen=True,
        alias_generator=variable,
        case_sensitive=True,
        enable_decoding=False,  # lists have forms of their own here
        extra="ignore",
    )

    ams_profile: Literal["local", "azure"] = "local"
    ams_data: Path = Path(".local")
    # Only checked here: whoever serves the functions reads it from the environment, before anything is logged.
    ams_log_level: Literal["debug", "info", "warning", "error"] = "info"

    ams_auth_cache_s: Annotated[float, Field(ge=0, le=1)] = 1.0
    ams_key_pepper_version: Annotated[int, Field(ge=1)] = 1
    ams_key_pepper_previous_version: Annotated[int, Field(ge=1)] | None = None

    ams_oidc_issuers: Issuers = ()
    ams_admins: Annotated[tuple[str, ...], BeforeValidator(_split_admins)] = ()

    ams_public_url: Annotated[str, Field(pattern=r"^https?://[^/\s?#@]+$")] = "http://127.0.0.1:7071"
    ams_mail_from: str = "AMS <ams@localhost>"
    ams_smtp_host: str | None = None
    ams_smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    ams_smtp_user: str | None = None
    ams_smtp_password: str | None = Field(default=None, repr=False)
    ams_smtp_security: Literal["none", "starttls", "tls"] = "starttls"

    ams_report_process: Literal["own", "same"] = "own"
    ams_event_partitions: Annotated[int, Field(ge=1, le=32)] = 4
    # An event is accepted for 35 days, and the last reconciliation of a day, which reads its records, is 39 days later.
    ams_record_retention_days: Annotated[int, Field(ge=40, le=3650)] = 400
    ams_spool_events_max: Annotated[int, Field(ge=1)] = 100_000
    ams_upstream_allow_private: bool = False
    ams_proxy_hops: Annotated[int, Field(ge=0, le=10)] = 1
    ams_leak_keys_url: Annotated[str, Field(pattern=r"^https?://[^\s?#@]+$")] | None = None

    ams_cosmos_endpoint: str | None = None
    ams_cosmos_key: str | None = Field(default=None, repr=False)
    ams_cosmos_database: str = "ams"
    usage_hub_fully_qualified_namespace: str | None = None
    ams_usage_hub_connection_string: str | None = Field(default=None, repr=False)
    ams_usage_hub_name: str = "usage"
    ams_blob_account_url: str | None = None
    ams_blob_connection_string: str | None = Field(default=None, repr=False)
    ams_keyvault_url: str | None = None
    ams_managed_identity_client_id: str | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Nothing but what `load_settings` read: this process's environment is its caller's to give."""
        return (init_settings,)

    @model_validator(mode="after")
    def _azure_is_complete(self) -> "Settings":
        if self.ams_profile == "azure":
            emulators = {
                "ams_cosmos_endpoint": None,
                "usage_hub_fully_qualified_namespace": self.ams_usage_hub_connection_string,
                "ams_blob_account_url": self.ams_blob_connection_string,
            }
            for name in AZURE_REQUIRED:
                if getattr(self, name) is None and emulators.get(name) is None:
                    raise ValueError(f"{variable(name)} is required when AMS_PROFILE is azure")
            # The hub's checkpoints are blobs, reached in the way in which the hub is.
            if self.ams_usage_hub_connection_string is None and self.ams_blob_account_url is None:
                raise ValueError("AMS_BLOB_ACCOUNT_URL is required without AMS_USAGE_HUB_CONNECTION_STRING")
            if self.ams_usage_hub_connection_string is not None and self.ams_blob_connection_string is None:
                raise ValueError("AMS_BLOB_CONNECTION_STRING is required beside AMS_USAGE_HUB_CONNECTION_STRING")
        return self


def _path(loc: tuple[str | int, ...]) -> str:
    """Such as `AMS_OIDC_ISSUERS[0].audience`."""
    return str(loc[0]) + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc[1:])


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the known variables; empty ones count as unset. Raises SettingsError."""
    source = EnvSettingsSource(Settings)
    source.env_vars = {name: value for name, value in environ.items() if value}
    try:
        return Settings(**source())
    except ValidationError as error:
        lines = [
            f"{_path(e['loc']) + ': ' if e['loc'] else ''}{e['msg'].removeprefix('Value error, ')}"
            for e in error.errors(include_input=False)
        ]
        raise SettingsError("; ".join(lines)) from None
