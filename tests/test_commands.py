"""Common parts of the four command lines: modules, `--version`, and help that names values."""

from __future__ import annotations

import importlib
import importlib.metadata
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

ROOMS = ["objascale", "flip", "bench", "reports"]


def paths(command, *path: str) -> Iterator[tuple[str, ...]]:
    """Return the command and all its subcommands by name."""
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from paths(inner, *path, name)


@pytest.mark.parametrize("room", ROOMS)
def test_the_version_is_that_of_the_package(room: str) -> None:
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


def test_options_of_the_same_name_have_the_same_meaning_in_all_commands() -> None:
    for room in ROOMS:
        top = typer.main.get_command(importlib.import_module(f"{room}.cli").app)
        for path in paths(top):
            command = top
            for name in path:
                command = command.commands[name]
            options = {name: param for param in command.params for name in param.opts}
            assert not options.keys() & {"--accelerator", "--devices", "--dtype", "--pictures", "--output"}, path
            if "--precision" in options:
                command.get_params(typer.Context(command))  # names the values
                assert set(options["--precision"].metavar.strip("[]").split("|")) <= {"fp32", "bf16", "fp16"}, path
            if "--device" in options:
                assert options["--device"].default == "auto", path


def test_an_unknown_licence_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = importlib.import_module("objascale.cli").app
    result = CliRunner().invoke(
        app, ["plan", "--categories", "apple", "--licenses", "by,buy", "--licenses", "by", "--offline"]
    )
    assert result.exit_code == 1
    assert "no licence is called 'buy'; there are " in result.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["objascale", "verify", "x", "--timeout", "5", "--seed", "1"], "--seed and --timeout do nothing without"),
        (["objascale", "render", "--address", "a:1"], "--address does nothing without --engine ray"),
        (["objascale", "render", "--hdri-res", "4k"], "--hdri-res does nothing without --hdris polyhaven"),
        (
            ["objascale", "plan", "--source", "folder", "--objects", "x", "--starter-split", "test"],
            "--starter-split does nothing without --source starter",
        ),
        (["objascale", "plan", "--source", "objaverse", "--objects", "x"], "--objects does nothing without --source"),
        (["bench", "run", "--models", "box", "--repeats", "3"], "--repeats does nothing without --timing"),
        (["bench", "run", "--models", "box", "--address", "a:1"], "--address does nothing without --engine ray"),
        (["flip", "train", "--data", "x", "--limit", "5"], "--limit does nothing without --validate"),
        (
            ["bench", "run", "--models", "box,ellipse", "--tokens", "64"],
            "--tokens does nothing without a model that samples patches",
        ),
        (["objascale", "crops", "--n", "9"], "--n does nothing without --source objaverse"),
        (["objascale", "plan", "--ldr-maps"], "--ldr-maps does nothing without a file or folder of --hdris"),
        (
            ["flip", "predict", "a.png", "--out", "b.png", "--box", "1,1,2,2", "--model", "c.onnx", "--weights", "d"],
            "--weights does nothing without the name of a model",
        ),
        (
            ["flip", "export", "c.safetensors", "--out", "onnx", "--weights", "d"],
            "--weights does nothing without the name of a model",
        ),
        (
            ["flip", "grow", "c.safetensors", "flip-l", "--out", "l.safetensors", "--weights", "d"],
            "--weights does nothing without the name of a model",
        ),
        (
            ["flip", "grow", "flip-s", "flip-s", "flip-s", "flip-l", "--out", "l.safetensors", "--seed", "1"],
            "--seed does nothing without copied channels, which a single MODEL has",
        ),
        (["reports", "figure", "9", "--bins", "20"], "--bins does nothing without a figure that has bins: 7, 7-diff"),
    ],
)
def test_options_that_do_nothing_are_refused(
    arguments: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    room, *rest = arguments
    result = CliRunner().invoke(importlib.import_module(f"{room}.cli").app, rest)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith(f"error: {sentence}")
    assert not any(tmp_path.iterdir())
