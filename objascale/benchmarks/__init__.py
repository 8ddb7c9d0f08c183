"""Frozen benchmarks: plans with the SHA-256 of every mask and a sketch of every picture.

A frozen benchmark is rendered rather than downloaded. Its file names the objects, the environment maps and all
settings, so every machine draws the same specs. The masks must be equal in every pixel. Pictures differ slightly
between kinds of processors, so each has a `sketch` that must agree within tolerances.

The benchmarks of this package are `NAME.json` in this folder. `objascale freeze` makes such files of any data set.
A data set of a benchmark holds a copy of its file, `BENCHMARK_FILE`.

    sketch       the numbers that stand for a picture, and their tolerances
    pinning      comparison of a data set with its benchmark
    freezing     the benchmark of a data set
    assets       the objects and maps of a benchmark, from their sources
    obtaining    its data set, rendered on first use
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from objascale.dataset import DatasetError
from objascale.files import cache_folder, write_atomically
from objascale.settings import PlanSettings, RenderSettings
from objascale.validation import describe_errors, in_one_line, parse_json

BENCHMARK_SCHEMA = 1
BENCHMARK_FILE = "benchmark.json"
SHIPPED = resources.files("objascale.benchmarks")
"""Folder of the benchmarks of this package."""

NAME = re.compile(r"([a-z0-9][a-z0-9_-]*)-v([1-9][0-9]*)")
"""Name of a benchmark: its series and its version, such as objascale-mini-v1."""


class PinnedPicture(BaseModel):
    """What a picture must be.

    Attributes:
        masks: SHA-256 of the mask of each object, in the order of the annotations; see `pinning.mask_sha256`.
        sketch: `sketch.sketch` of the picture.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    masks: list[str] = Field(min_length=1)
    sketch: list[float]


class BenchmarkContent(BaseModel):
    """Content of a benchmark's file.

    Attributes:
        name: Series and version, see `NAME`.
        about: One sentence that describes it.
        n: Number of pictures.
        request: Source of the objects and of the maps; see `assets`.
        plan: Ranges of the plan.
        render: Settings of the renderer.
        objects: Id → SHA-256 of each object, in the order of the plan. "" for objects that are generated, because their
            bytes depend on the processor, and for objects whose SHA-256 is pinned at the first download.
        maps: Id → SHA-256 of each environment map, likewise.
        candidates: Category → ids of Objaverse, in the order in which they are tried, for a benchmark whose `objects`
            are chosen at the first download.
        pictures: The pinned pictures by slot; empty if none are pinned.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: Literal[1] = Field(alias="schema")
    name: str = Field(pattern=f"^{NAME.pattern}$")
    about: str
    n: int = Field(ge=1)
    request: dict[str, Any]
    plan: PlanSettings
    render: RenderSettings
    objects: dict[str, str]
    maps: dict[str, str]
    candidates: dict[str, list[str]] = Field(default_factory=dict)
    pictures: list[PinnedPicture]


@dataclass(frozen=True)
class Benchmark:
    """A frozen benchmark.

    Attributes:
        content: Content of its file.
        data: The bytes of the file.
    """

    content: BenchmarkContent
    data: bytes

    @property
    def name(self) -> str:
        """Series and version: objascale-mini-v1."""
        return self.content.name

    @property
    def identity(self) -> dict[str, Any]:
        """Series, version and SHA-256 of the file, as `run.json` records them."""
        series, version = split_name(self.name)
        return {"name": series, "version": version, "sha256": hashlib.sha256(self.data).hexdigest()}


def split_name(name: str) -> tuple[str, int]:
    """Split the name of a benchmark into series and version."""
    found = NAME.fullmatch(name)
    assert found is not None
    return found[1], int(found[2])


def names() -> list[str]:
    """Return the names of the benchmarks of this package."""
    return sorted(file.name.removesuffix(".json") for file in SHIPPED.iterdir() if file.name.endswith(".json"))


def load_benchmark(name: str) -> Benchmark:
    """Return a benchmark of this package by name, or that of a file.

    Args:
        name: The name, or the path of a file that `objascale freeze` wrote.

    Raises:
        DatasetError: No benchmark has this name, and no file this path; or the file is damaged.
    """
    if name in names():
        path = SHIPPED.joinpath(f"{name}.json")
        return _parse(path.read_bytes(), f"the benchmark {name} of this installation", "install the package again")
    if not Path(name).is_file():
        raise DatasetError(f"there is no benchmark {name}; {suggestion(name)}")
    return _parse(Path(name).read_bytes(), name, "objascale freeze writes such files")


def suggestion(name: str) -> str:
    """Return a clause with the benchmarks that a wrong name may mean: `did you mean objascale-mini-v1?`."""
    near = get_close_matches(name, names(), 3)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names())}"


def benchmark_of(folder: Path) -> Benchmark | None:
    """Return the benchmark that a data set belongs to, None for another data set.

    Raises:
        DatasetError: The copy of the benchmark's file is damaged, or has the name of a benchmark of this package and
            another content.
    """
    path = folder / BENCHMARK_FILE
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror})") from error
    way_out = "delete it if the data set is no benchmark, or render the benchmark into a new folder"
    found = _parse(data, str(path), way_out)
    if found.name in names() and load_benchmark(found.name).data != data:
        raise DatasetError(f"{path} is called {found.name}, but it is not the benchmark of that name; {way_out}")
    return found


def mark(benchmark: Benchmark, folder: Path) -> None:
    """Write the copy of a benchmark's file into a data set."""
    write_atomically(folder / BENCHMARK_FILE, benchmark.data)


def refuse_another(benchmark: Benchmark | None, folder: Path) -> None:
    """Raise DatasetError if a folder holds the data set of another benchmark."""
    present = benchmark_of(folder)
    if benchmark is not None and present is not None and present.data != benchmark.data:
        raise DatasetError(f"{folder} holds {present.name}, not {benchmark.name}; give another folder with --out")


def data_folder(benchmark: Benchmark) -> Path:
    """Return the folder in the user's cache for the data set of a benchmark."""
    return cache_folder() / "benchmarks" / benchmark.name


def _parse(data: bytes, where: str, way_out: str) -> Benchmark:
    try:
        content = parse_json(data)
        if isinstance(content, dict) and content.get("schema") != BENCHMARK_SCHEMA:
            raise DatasetError(
                f"{where} has schema {content.get('schema')}, this version reads {BENCHMARK_SCHEMA}; {way_out}"
            )
        found = BenchmarkContent.model_validate(content)
    except ValidationError as error:
        raise DatasetError(f"{where} is no frozen benchmark ({describe_errors(error)}); {way_out}") from None
    except ValueError as error:
        raise DatasetError(f"{where} is no frozen benchmark ({in_one_line(error)}); {way_out}") from None
    if found.pictures and len(found.pictures) != found.n:
        raise DatasetError(f"{where} pins {len(found.pictures)} of {found.n} pictures, so it is damaged; {way_out}")
    return Benchmark(found, data)
