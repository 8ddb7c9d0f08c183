"""Options that messages name: the command that prints the message has them."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

ROOT = Path(__file__).parents[1]
ROOMS = ["objascale", "flip", "bench", "reports"]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
NAMED_COMMAND = re.compile(r"\b(objascale|flip|bench|reports) ([a-z]+)\b")

# Messages of a file below one of these paths come from all of these commands. Those of other files come from some
# command of their package.
COMMANDS = {
    "objascale/datasets/skipped.py": ["bench run"],
    "objascale/datasets/__init__.py": ["bench run"],
    "objascale/datasets": ["bench run", "flip train"],
    "objascale/scenes": ["flip train"],
    "objascale/sources": ["objascale plan", "objascale render", "objascale crops"],
    "objascale/dataset.py": ["objascale render", "objascale crops", "objascale merge"],
    "objascale/engine": ["objascale render", "objascale crops", "objascale verify"],
    "objascale/blender/scene.py": ["objascale render", "objascale crops", "objascale verify"],
    "objascale/full_frame.py": ["objascale verify"],
    "flip/pseudo_labels": ["flip pseudo-label"],
    "flip/training": ["flip train"],
    "baselines": ["bench run", "bench fetch"],
    "bench/compare.py": ["bench compare"],
    "bench/local.py": ["bench run"],
    "bench/pool.py": ["bench run"],
    "bench/ray.py": ["bench run"],
    "bench/results.py": ["bench run", "bench merge"],
    "bench/run_file.py": ["bench run", "bench merge"],
    "bench/measurer.py": ["bench run"],
    "bench/predictions.py": ["bench run"],
    "bench/selection.py": ["bench run"],
    "bench/timing.py": ["bench run"],
}


def options_of(command: Any) -> set[str]:
    """The options of a command and of its subcommands."""
    own = {option for param in command.params for option in param.opts}
    return own.union(*map(options_of, getattr(command, "commands", {}).values()))


def options_of_commands() -> dict[str, set[str]]:
    """The options of each command, such as "bench run"."""
    apps = {room: typer.main.get_command(importlib.import_module(f"{room}.cli").app) for room in ROOMS}
    return {
        f"{room} {name}": options_of(command)
        for room, app in apps.items()
        for name, command in app.commands.items()  # type: ignore[attr-defined]
    }


def sentences(tree: ast.AST) -> Iterator[str]:
    """The texts of several words in a module, without docstrings. A value in an f-string becomes an ellipsis."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    inside |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            text = node.value
        else:
            continue
        if " " in text.strip():
            yield text


def has(option: str, sentence_before: str, file: str, options: dict[str, set[str]]) -> bool:
    """Whether an option in a sentence of a file belongs to a command that the sentence names, or that prints it."""
    if any(option in options.get(" ".join(names), ()) for names in NAMED_COMMAND.findall(sentence_before)):
        return True
    for start, names in COMMANDS.items():
        if file.startswith(start):
            return all(option in options[name] for name in names)
    packages = ("reports", "bench") if file.startswith("reports") else (file.split("/")[0],)  # how to measure
    return any(option in options[name] for name in options if name.split()[0] in packages)


def test_a_message_names_only_options_that_its_command_has() -> None:
    options = options_of_commands()
    found, wrong = 0, []
    for path in sorted(path for room in (*ROOMS, "baselines") for path in (ROOT / room).rglob("*.py")):
        file = path.relative_to(ROOT).as_posix()
        for text in sentences(ast.parse(path.read_text("utf-8"))):
            matches = list(OPTION.finditer(text))
            found += len(matches)
            wrong += [(file, text) for match in matches if not has(match[0], text[: match.start()], file, options)]
    assert found > 100
    assert wrong == []
