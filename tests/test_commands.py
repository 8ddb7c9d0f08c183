"""What all four command lines have in common: modules, `--version`, and help that names values."""

from __future__ import annotations

import importlib
import importlib.metadata
import runpy
import sys
from collections.abc import Iterator

import pytest
import typer
from typer.testing import CliRunner

ROOMS = ["objascale", "flip", "bench", "reports"]


def paths(command, *path: str) -> Iterator[tuple[str, ...]]:
    """The command itself and all its subcommands, by name."""
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from paths(inner, *path, name)


@pytest.mark.parametrize("room", ROOMS)
def test_the_version_is_the_packages(room: str) -> None:
    result = CliRunner().invoke(importlib.import_module(f"{room}.cli").app, ["--version"])
    assert result.exit_code == 0
    assert result.output == f"objascale-suite {importlib.metadata.version('objascale-suite')}\n"


@pytest.mark.parametrize("room", ROOMS)
def test_help_names_values_and_not_types(room: str) -> None:
    app = importlib.import_module(f"{room}.cli").app
    for path in paths(typer.main.get_command(app)):
        result = CliRunner().invoke(app, [*path, "--help"], terminal_width=200, env={"COLUMNS": "200"})
        assert result.exit_code == 0, path
        for type_name in ("<path", "<list", "<int", "<float", "<str", "<bool"):
            assert type_name not in result.output, (path, result.output)


@pytest.mark.parametrize("room", ROOMS)
def test_a_command_is_a_module(room: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", [room, "--help"])
    monkeypatch.delitem(sys.modules, f"{room}.cli", raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"{room}.cli", run_name="__main__")
    assert ended.value.code == 0
    assert "Usage" in capsys.readouterr().out
