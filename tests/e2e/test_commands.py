"""`scripts/ams`: its commands are found, explain themselves, and stay apart from each other."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from scripts.commands.__main__ import COMMANDS
from tests.support.host.installation import ROOT

LISTED = "import sys; from scripts.commands.__main__ import app; app(['--help'], standalone_mode=False); "
HEAVY = ("pydantic", "fastapi", "httpx", "shared.bootstrap")


def _ams(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.commands", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_command_has_a_module_and_every_module_a_command() -> None:
    modules = {path.stem for path in Path(ROOT, "scripts", "commands").glob("[!_]*.py")}
    assert {name.replace("-", "_") for name in COMMANDS} == modules
    assert all(import_module(f"scripts.commands.{module}").app for module in modules)


def test_the_list_of_commands_needs_none_of_them() -> None:
    code = f"{LISTED} print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(f" {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_the_commands_own(name: str) -> None:
    done = _ams(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"scripts/ams {name}" in done.stdout or f" {name} " in done.stdout.splitlines()[1]


def test_a_slip_is_answered_with_what_was_meant() -> None:
    done = _ams("close-mont")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean 'close-month'?" in done.stderr


def test_verifying_an_invoice_asks_nothing_of_the_platform() -> None:
    """Whoever has an invoice verifies it offline, by the name that the invoice prints."""
    code = "import sys, scripts.commands.verify_invoice; print('shared.bootstrap' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "False\n", done.stderr
    printed = subprocess.run([ROOT / "scripts" / "verify_invoice"], capture_output=True, text=True, check=False)
    assert printed.returncode == 2
    assert "verify-invoice" in printed.stderr
