"""Plans from command-line options: assets, ranges and settings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from objascale.benchmarks import Benchmark
from objascale.benchmarks.obtaining import benchmark_plan
from objascale.choices import SOURCES, ImageFormat
from objascale.commands.options import AssetOptions, PlanOptions, changed_options
from objascale.difficulty.ranges import DifficultyError, parse_ranges
from objascale.plan import Plan, PlanError, load_plan
from objascale.progress import show_progress, show_status
from objascale.settings import PRESETS, PlanSettings, RenderSettings
from objascale.sources import Asset, SourceError, embedded, folder, objaverse, plugins, polyhaven, sweethome
from objascale.sources.licences import under_licences
from objascale.terminal import UsageError, complain, refuse_idle

_NETWORK = ("objaverse", "polyhaven")
_OF_BENCHMARKS = ("--objects", "--hdris", "--offline")
_EXCLUDING = ("exclude_categories", "exclude", "exclude_maps")
_OBJECTS_HELP = {
    "folder": "a folder of objects as PATH/CATEGORY/NAME.glb or PATH/CATEGORY/NAME/scene.gltf",
    "sweethome": "an .sh3f file, or a folder of them",
}


def make_plan(options: PlanOptions, known: Plan | None = None) -> Plan:
    """Make the plan that the options describe.

    Args:
        options: The options.
        known: An earlier plan. Its assets from the network are reused if the request for them is the same.

    Raises:
        SourceError: If a source cannot deliver the assets.
        pydantic.ValidationError: For impossible ranges.
    """
    settings = _settings(options)
    objects, maps, request = choose_assets(options, options.n, known)
    render = RenderSettings(
        samples=options.samples,
        noise_threshold=options.noise,
        denoise=options.denoise,
        view=options.view,
        format=_format(options, settings),
        min_area=settings.min_area,
    )
    return Plan(objects, maps, settings, render, options.n, request)


def choose_plan(options: PlanOptions, path: Path | None, out: Path) -> Plan:
    """Read the plan in a file, or make one of the options.

    Args:
        options: The options.
        path: The file; None to make a plan.
        out: Folder of the data set, whose earlier plan is known.

    Raises:
        UsageError: Options are given with a file.
        PlanError: The file is no plan, or assets of it are missing.
        SourceError: If a source cannot deliver the assets.
        pydantic.ValidationError: For impossible ranges.
    """
    if path is None:
        earlier = out / "plan.json"
        return make_plan(options, load_plan(earlier) if earlier.exists() else None)
    if given := changed_options(options):
        raise UsageError(f"{', '.join(given)} cannot be given with --plan, which fixes them; make another plan")
    known = load_plan(path)
    if gone := [asset.path for asset in (*known.objects, *known.maps) if not asset.path.exists()]:
        raise PlanError(
            f"{len(gone)} of the assets of {path} are missing, such as {gone[0]}; "
            "put them there, or run objascale plan on this machine"
        )
    return known


def choose_benchmark_plan(options: PlanOptions, benchmark: Benchmark) -> Plan:
    """Return the plan of a benchmark.

    Raises:
        UsageError: Options are given that the benchmark fixes.
        SourceError: An asset is missing or has changed.
    """
    if given := [option for option in changed_options(options) if option not in _OF_BENCHMARKS]:
        raise UsageError(f"{', '.join(given)} cannot be given with {benchmark.name}, which fixes them")
    hdris = None if options.hdris is None else Path(options.hdris)
    return benchmark_plan(benchmark, options.objects, hdris, options.offline)


def choose_assets(
    options: AssetOptions, n: int, known: Plan | None = None
) -> tuple[Sequence[Asset], Sequence[Asset], dict[str, Any]]:
    """Choose the objects and environment maps that the options describe.

    Args:
        options: The options.
        n: Smallest number of objects to take from Objaverse, equally many of each category.
        known: An earlier plan, see `make_plan`.

    Returns:
        The objects, the maps, and the request: everything that decides the choice.

    Raises:
        SourceError: If a source cannot deliver the assets.
    """
    request = _request(options, n)
    _refuse_idle_options(options, request)
    reusable = known if known is not None and known.request == request else None
    objects = reusable.objects if reusable and request["source"] in _NETWORK else _objects(options, request)
    maps = reusable.maps if reusable and request["hdris"] in _NETWORK else _maps(options, request)
    return objects, maps, request


def choose_source(options: AssetOptions) -> str:
    """Return where the objects come from: --source, or what the other options imply. Raises UsageError."""
    if options.source and options.source not in (*SOURCES, *plugins.installed_sources()):
        names = ", ".join((*SOURCES, *plugins.installed_sources()))
        raise UsageError(f"no source is called {options.source}; there are {names}")
    return options.source or ("folder" if options.objects else "objaverse" if options.categories else "starter")


def _request(options: AssetOptions, n: int) -> dict[str, Any]:
    """Return everything that decides the choice of assets, with defaults filled in."""
    source = choose_source(options)
    hdris = options.hdris or ("polyhaven" if source == "objaverse" else "blender")
    request: dict[str, Any] = {"source": source, "hdris": hdris, "seed": options.seed}
    if source == "starter":
        request["starter_split"] = options.starter_split
    if options.objects:
        request["objects"] = str(options.objects.resolve())
    if options.categories:
        request["categories"] = ",".join(options.categories)
    if source == "objaverse":
        names = _objaverse_categories(options)
        request |= {
            "categories": names,
            "per_category": math.ceil(n / len(names)),
            "licenses": _licences(options),
        }
    for name in _EXCLUDING:
        if values := getattr(options, name):
            request[name] = ",".join(values)
    if options.ldr_maps:
        request["ldr_maps"] = True
    if hdris == "polyhaven":
        request |= {"hdri_res": options.hdri_res, "n_hdris": options.n_hdris}
    return request


def _refuse_idle_options(options: AssetOptions, request: dict[str, Any]) -> None:
    """Raise UsageError for options of a source that is not used."""
    if request["hdris"] != "polyhaven":
        refuse_idle("--hdris polyhaven", "hdri_res", "n_hdris")
    if request["hdris"] in ("polyhaven", "blender"):
        refuse_idle("a file or folder of --hdris", "ldr_maps")
    if request["source"] != "starter":
        refuse_idle("--source starter", "starter_split")
    if request["source"] == "objaverse" and options.objects:
        raise UsageError("--objects does nothing without --source folder or sweethome")


def _objects(options: AssetOptions, request: dict[str, Any]) -> list[Asset]:
    found = _from_source(options, request)
    if options.licenses and request["source"] != "objaverse":
        words = _words(options.licenses)
        try:
            found = under_licences(found, words)
        except SourceError as error:
            raise SourceError(f"--licenses: {error}") from None
        found = _not_empty(found, f"is under a licence of --licenses {','.join(words)}")
    if "exclude_categories" in request:
        names = _named(request["exclude_categories"], {asset.category for asset in found}, "--exclude-categories")
        found = [asset for asset in found if asset.category not in names]
    if "exclude" in request:
        found = _without(found, request["exclude"])
    return _not_empty(found, "is left after the --exclude options")


def _not_empty(found: list[Asset], condition: str) -> list[Asset]:
    if not found:
        raise SourceError(f"no object {condition}")
    return found


def _without(found: list[Asset], patterns: str) -> list[Asset]:
    """Return the objects whose id and title match no pattern. Raises SourceError for a pattern without a match."""
    for pattern in (each.strip().lower() for each in patterns.split(",")):
        kept = [asset for asset in found if not _matches(asset, pattern)]
        if len(kept) == len(found):
            raise SourceError(
                f"--exclude: no remaining object has an id or a title like {pattern!r}; correct or drop it"
            )
        found = kept
    return found


def _matches(asset: Asset, pattern: str) -> bool:
    return any(fnmatchcase(name.lower(), pattern) for name in (asset.id, asset.title))


def _from_source(options: AssetOptions, request: dict[str, Any]) -> list[Asset]:
    source = request["source"]
    if source == "objaverse":
        return _from_objaverse(options, request)
    if source == "starter":
        if options.objects is not None:
            raise SourceError("--objects goes with --source folder; the program generates the starter objects")
        with show_status("generating the starter objects"):
            found = embedded.objects(options.starter_split)
    elif source not in SOURCES:
        found = plugins.objects(source, options.objects, seed=options.seed, offline=options.offline)
    elif options.objects is None:
        raise SourceError(f"--source {source} needs --objects: {_OBJECTS_HELP[source]}")
    elif source == "sweethome":
        with show_status("unpacking"):
            found = sweethome.objects(options.objects)
    else:
        found = folder.objects(options.objects)
    return _of_categories(found, request["categories"]) if options.categories else found


def _of_categories(found: list[Asset], wanted: str) -> list[Asset]:
    """Return the objects of the named categories, or of the first N categories in alphabetical order."""
    present = sorted({asset.category for asset in found})
    if wanted.isdecimal():
        if not 1 <= int(wanted) <= len(present):
            raise SourceError(f"--categories {wanted}: this source has {len(present)} categories")
        names = present[: int(wanted)]
    else:
        names = _named(wanted, present, "--categories")
    return [asset for asset in found if asset.category in names]


def _named(wanted: str, present: Collection[str], option: str) -> list[str]:
    """Split a list of names at its commas. Raises SourceError for a name that is not present."""
    names = [name.strip() for name in wanted.split(",")]
    for name in names:
        if name not in present:
            near = get_close_matches(name, present, 3) or sorted(present)[:5]
            raise SourceError(f"{option}: there is no {name!r} in this source; it has {', '.join(near)}, …")
    return names


def _words(texts: Sequence[str]) -> list[str]:
    """Return the words of an option that is given once or several times, with commas between words."""
    return list(dict.fromkeys(word.strip() for text in texts for word in text.split(",")))


def _objaverse_categories(options: AssetOptions) -> list[str]:
    names = _words(options.categories or ["68"])
    if len(names) == 1 and names[0].isdecimal():
        return objaverse.default_categories(int(names[0]))
    return names


def _licences(options: AssetOptions) -> list[str]:
    """Return SPDX names of the licences, from Objaverse's short names (by) or SPDX names (CC-BY-4.0)."""
    if options.licenses is None:
        return sorted(objaverse.DEFAULT_LICENCES)
    words = _words(options.licenses)
    names = [objaverse.LICENCES.get(word.lower(), word) for word in words]
    if unknown := [name for name in names if name not in objaverse.LICENCES.values()]:
        raise SourceError(f"--licenses: no licence is called {unknown[0]!r}; there are {', '.join(objaverse.LICENCES)}")
    return sorted(names)


def _from_objaverse(options: AssetOptions, request: dict[str, Any]) -> list[Asset]:
    with show_progress("fetching") as progress:
        fetched = objaverse.objects(
            request["categories"],
            request["per_category"],
            seed=options.seed,
            licences=request["licenses"],
            offline=options.offline,
            progress=progress,
        )
    for reason, times in Counter(failure.reason for failure in fetched.failures).most_common():
        complain(f"{times} × {reason}: objects of Objaverse that are replaced by others, or missing")
    for failure in fetched.replaced[:5]:
        complain(f"fetched again: {failure.message}")
    return fetched.assets


def _maps(options: AssetOptions, request: dict[str, Any]) -> list[Asset]:
    found = _maps_from_source(options, request)
    if "exclude_maps" in request:
        names = _named(request["exclude_maps"], {asset.id for asset in found}, "--exclude-maps")
        found = [asset for asset in found if asset.id not in names]
        if not found:
            raise SourceError("--exclude-maps leaves no environment map")
    return found


def _maps_from_source(options: AssetOptions, request: dict[str, Any]) -> list[Asset]:
    if request["hdris"] == "blender":
        return embedded.environment_maps()
    if request["hdris"] == "polyhaven":
        with show_progress("fetching") as progress:
            return polyhaven.environment_maps(
                options.n_hdris, options.hdri_res, seed=options.seed, offline=options.offline, progress=progress
            )
    return folder.environment_maps(Path(request["hdris"]), options.ldr_maps)


def _settings(options: PlanOptions) -> PlanSettings:
    values = PRESETS[options.preset].model_dump() | {"seed": options.seed}
    given = {name: getattr(options, name) for name in values.keys() - {"difficulty", "balance"}}
    values |= {name: value for name, value in given.items() if value is not None}
    values["balance"] = options.balance or None
    if options.difficulty:
        values["difficulty"] = _dials(options.preset, values["difficulty"], options.difficulty)
    return PlanSettings(**values)


def _dials(preset: str, ranges: dict[str, Any] | None, texts: Sequence[str]) -> dict[str, Any]:
    """Return the ranges of a preset with those of --difficulty. Raises UsageError."""
    if ranges is None:
        raise UsageError(f"--difficulty: the pictures of --preset {preset} have no dials; use --preset photo or hard")
    try:
        return ranges | parse_ranges(texts)
    except DifficultyError as error:
        raise UsageError(f"--difficulty: {error}") from None


def _format(options: PlanOptions, settings: PlanSettings) -> ImageFormat:
    """Return the format of the images. Raises UsageError for PNG with the dial compression."""
    if settings.difficulty is None:
        return options.format or "png"
    compression = settings.difficulty.get("compression")
    if options.format == "png" and compression is not None and compression.high > 0:
        raise UsageError("--format png is lossless; add --difficulty compression=0, or use --format jpg")
    return options.format or "jpg"
