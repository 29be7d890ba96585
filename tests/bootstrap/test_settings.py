"""Settings: each rule is told with its variable's name, and no secret is."""

import pytest

from shared.settings import Settings, SettingsError, load_settings

AZURE = {
    "AMS_PROFILE": "azure",
    "AMS_COSMOS_ENDPOINT": "https://cosmos.example",
    "USAGE_HUB__fullyQualifiedNamespace": "hub.example",
    "AMS_BLOB_ACCOUNT_URL": "https://blob.example",
    "AMS_KEYVAULT_URL": "https://vault.example",
}
EMULATED = {
    "AMS_PROFILE": "azure",
    "AMS_COSMOS_ENDPOINT": "http://localhost",
    "AMS_COSMOS_KEY": "cosmos-secret",
    "AMS_USAGE_HUB_CONNECTION_STRING": "hub-secret",
    "AMS_BLOB_CONNECTION_STRING": "blob-secret",
    "AMS_KEYVAULT_URL": "https://vault.example",
}


def test_an_empty_environment_is_the_local_profile():
    settings = load_settings({})
    assert (settings.ams_profile, settings.ams_auth_cache_s, settings.ams_record_retention_days) == ("local", 1.0, 400)


def test_empty_variables_count_as_unset():
    assert load_settings({"AMS_PROFILE": "", "AMS_AUTH_CACHE_S": ""}) == load_settings({})


def test_variables_of_others_are_ignored():
    assert load_settings({"PATH": "/bin", "ams_profile": "azure", "AMS_UNKNOWN": "x"}) == load_settings({})


@pytest.mark.parametrize("environ", [AZURE, EMULATED])
def test_complete_azure_settings_are_taken(environ):
    assert load_settings(environ).ams_profile == "azure"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AMS_PROFILE", "gcp"),
        ("AMS_LOG_LEVEL", "loud"),
        ("AMS_AUTH_CACHE_S", "-0.1"),
        ("AMS_AUTH_CACHE_S", "1.5"),
        ("AMS_AUTH_CACHE_S", "nan"),
        ("AMS_AUTH_CACHE_S", "soon"),
        ("AMS_KEY_PEPPER_VERSION", "0"),
        ("AMS_KEY_PEPPER_PREVIOUS_VERSION", "0"),
        ("AMS_EVENT_PARTITIONS", "0"),
        ("AMS_EVENT_PARTITIONS", "33"),
        ("AMS_EVENT_PARTITIONS", "4.5"),
        ("AMS_RECORD_RETENTION_DAYS", "39"),
        ("AMS_RECORD_RETENTION_DAYS", "3651"),
        ("AMS_SPOOL_EVENTS_MAX", "0"),
        ("AMS_UPSTREAM_ALLOW_PRIVATE", "perhaps"),
    ],
)
def test_each_rule_is_told_with_its_variable(name, value):
    with pytest.raises(SettingsError, match=f"^{name}: "):
        load_settings({name: value})


@pytest.mark.parametrize("name", ["AMS_COSMOS_ENDPOINT", "USAGE_HUB__fullyQualifiedNamespace", "AMS_BLOB_ACCOUNT_URL"])
def test_each_variable_that_azure_needs_is_named_when_it_is_missing(name):
    with pytest.raises(SettingsError, match=f"^{name} is required"):
        load_settings({key: value for key, value in AZURE.items() if key != name})


def test_an_emulated_hub_needs_emulated_blobs_for_its_checkpoints():
    with pytest.raises(SettingsError, match=r"^AMS_BLOB_CONNECTION_STRING is required"):
        load_settings({**AZURE, "AMS_USAGE_HUB_CONNECTION_STRING": "hub-secret"})


def test_a_real_hub_needs_a_real_blob_account_for_its_checkpoints():
    without = {key: value for key, value in AZURE.items() if key != "AMS_BLOB_ACCOUNT_URL"}
    with pytest.raises(SettingsError, match=r"^AMS_BLOB_ACCOUNT_URL is required"):
        load_settings({**without, "AMS_BLOB_CONNECTION_STRING": "blob-secret"})


def test_all_broken_rules_are_told_at_once():
    with pytest.raises(SettingsError) as caught:
        load_settings({"AMS_PROFILE": "gcp", "AMS_EVENT_PARTITIONS": "0"})
    assert "AMS_PROFILE: " in str(caught.value)
    assert "AMS_EVENT_PARTITIONS: " in str(caught.value)


def test_secrets_are_in_no_text_of_the_settings():
    settings = load_settings(EMULATED)
    assert settings.ams_cosmos_key == "cosmos-secret"
    assert "secret" not in repr(settings)
    assert "secret" not in str(settings)


def test_secrets_are_in_no_error_text():
    with pytest.raises(SettingsError) as caught:
        load_settings({**EMULATED, "AMS_EVENT_PARTITIONS": "0"})
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load_settings({}).ams_profile = "azure"


def test_only_field_names_that_are_variables_exist():
    assert all(name.startswith(("ams_", "usage_hub_")) for name in Settings.model_fields)
