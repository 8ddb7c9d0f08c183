"""The files that a wheel contains, and the places that state the version."""

from __future__ import annotations

import importlib.metadata
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_file_of_a_package_goes_into_the_wheel() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["*"]
    packages = PROJECT["tool"]["importlinter"]["root_packages"]
    files = [path for package in packages for path in (ROOT / package).rglob("*") if path.is_file()]
    data = {path.name for path in files if path.suffix not in (".py", ".pyc", ".nbi", ".nbc")}
    assert {"page.js", "style.css", "index.html.j2", "flip-s.safetensors", "categories.csv"} <= data
    assert [name for name in sorted(data) if not any(fnmatch(name, pattern) for pattern in patterns)] == []


def test_the_citation_and_the_installed_package_have_the_version_of_the_project() -> None:
    version = PROJECT["project"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    assert importlib.metadata.version("objascale-suite") == version
