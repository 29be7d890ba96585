"""The lint of folders finds what it is there for."""

from pathlib import Path

import pytest

from scripts.linters.packages import MODULES_MAX, circle_faults, folder_faults, name_faults


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package as it should be."""
    (tmp_path / "__init__.py").write_text('"""Owns what is in it."""\n')
    for number in range(1, MODULES_MAX):
        (tmp_path / f"module_{number}.py").touch()
    return tmp_path


def test_a_package_that_says_what_it_owns_is_fine(package: Path) -> None:
    assert list(folder_faults(package)) == []


def test_one_module_too_many_is_found(package: Path) -> None:
    (package / "another.py").touch()
    assert list(folder_faults(package)) == [f"{package}: has {MODULES_MAX + 1} modules, more than {MODULES_MAX}"]


def test_a_package_that_says_nothing_is_found(package: Path) -> None:
    (package / "__init__.py").write_text("# Owns what is in it.\n")
    assert [fault.partition(": ")[2] for fault in folder_faults(package)] == [
        "must say in its docstring what the package owns"
    ]


def test_a_folder_that_is_no_package_is_found(package: Path) -> None:
    (package / "below").mkdir()
    (package / "below" / "module.py").touch()
    assert list(folder_faults(package)) == [f"{package / 'below'}: has no __init__.py"]


def test_a_circle_is_found_and_named() -> None:
    straight = {"a": {"b", "c"}, "b": {"c"}, "c": set[str]()}
    assert list(circle_faults(straight)) == []
    [fault] = circle_faults({**straight, "c": {"a"}})
    assert fault.startswith("imports run in a circle: ")
    assert set(fault.partition(": ")[2].split(" ← ")) >= {"a", "c"}


@pytest.mark.parametrize(
    "another",
    ["class Step:\n    pass\n", 'Step = Literal["hour"]\n', 'Step: TypeAlias = Literal["hour"]\n'],
    ids=["class", "alias", "annotated alias"],
)
def test_one_name_of_two_things_is_found(tmp_path: Path, another: str) -> None:
    (tmp_path / "one.py").write_text("class Step:\n    pass\n")
    (tmp_path / "two.py").write_text(another)
    assert list(name_faults(tmp_path, ["."])) == ["Step: is one name of several things, in one.py, two.py"]


def test_locals_constants_and_type_variables_may_share_a_name(tmp_path: Path) -> None:
    source = 'Result = TypeVar("Result")\nT = int\nPAGE = 20\n\n\nclass _Step:\n    pass\n'
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(source)
    assert list(name_faults(tmp_path, ["."])) == []
