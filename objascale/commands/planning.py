"""From what a user types to a Plan: which assets, which ranges, which settings."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from difflib import get_close_matches
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from objascale.commands.common import console
from objascale.plan import PRESETS, Plan, PlanSettings, RenderSettings
from objascale.sources import Asset, SourceError, embedded, folder, objaverse, sweethome

Source = StrEnum("Source", ["starter", "folder", "sweethome", "objaverse"])
Preset = StrEnum("Preset", list(PRESETS))
Place = StrEnum("Place", ["centre", "anywhere", "cut"])
Format = StrEnum("Format", ["png", "jpg"])
View = StrEnum("View", [("AgX", "AgX"), ("Filmic", "Filmic"), ("Standard", "Standard")])
Resolution = StrEnum("Resolution", [(name, name) for name in ("1k", "2k", "4k", "8k", "16k")])

_ASSETS, _SIZES, _PICTURE = "Objects and environment maps", "Sizes and places", "Picture quality"
_NETWORK = ("objaverse", "polyhaven")
_OBJECTS_HELP = {
    Source.folder: "a folder of objects as DIR/CATEGORY/NAME.glb",
    Source.sweethome: "a .sh3f file, or a folder of them",
}


def _option(text: str, panel: str, **more: Any) -> Any:
    return typer.Option(help=text, rich_help_panel=panel, **more)


@dataclass(frozen=True)
class PlanOptions:
    """The options of `objascale plan`, which `objascale render` and `objascale fetch` take too."""

    source: Annotated[
        Source | None,
        _option(
            "Where objects come from. starter: the program makes them itself.",
            _ASSETS,
            show_default="objaverse with --categories, folder with --objects, else starter",
        ),
    ] = None
    objects: Annotated[
        Path | None,
        _option(
            "folder: objects as DIR/CATEGORY/NAME.glb (gltf, obj, fbx, …). sweethome: .sh3f file or folder.", _ASSETS
        ),
    ] = None
    categories: Annotated[
        str | None,
        _option("So many (68: all of ours, see objascale/data/categories.csv), or names: apple,truck.", _ASSETS),
    ] = None
    licenses: Annotated[
        str | None,
        _option(
            "Objaverse's objects under these licences only, as by,cc0.",
            _ASSETS,
            show_default="cc0,by,by-sa,by-nc,by-nc-sa",
        ),
    ] = None
    hdris: Annotated[
        str | None,
        _option(
            "Environment maps: a folder of .exr or .hdr files, polyhaven, or blender (the eight that come with it).",
            _ASSETS,
            show_default="polyhaven with objaverse, else blender",
        ),
    ] = None
    hdri_res: Annotated[Resolution, _option("Poly Haven's maps are this wide.", _ASSETS)] = Resolution["8k"]
    n_hdris: Annotated[int, _option("So many of Poly Haven's maps.", _ASSETS, min=1)] = 100
    offline: Annotated[bool, _option("Use only what was downloaded before.", _ASSETS)] = False
    n: Annotated[int, typer.Option(min=1, help="Number of images.")] = 100
    seed: Annotated[int, typer.Option(min=0, help="Decides every random choice.")] = 0
    preset: Annotated[
        Preset,
        _option(
            "paper: masks of 2 to 1e5 px and 1e-6 to 0.3 of the picture, in its centre. full: 1e-7 to 0.25, anywhere.",
            _SIZES,
        ),
    ] = Preset.paper
    min_px: Annotated[int | None, _option("Smallest picture, px a side.", _SIZES, show_default="512")] = None
    max_px: Annotated[int | None, _option("Largest picture, px a side.", _SIZES, show_default="8192")] = None
    min_fraction: Annotated[float | None, _option("Smallest mask / picture.", _SIZES, show_default="the preset's")] = (
        None
    )
    max_fraction: Annotated[float | None, _option("Largest mask / picture.", _SIZES, show_default="the preset's")] = (
        None
    )
    min_area: Annotated[int | None, _option("Smallest mask in px.", _SIZES, show_default="the preset's")] = None
    max_area: Annotated[int | None, _option("Largest mask in px.", _SIZES, show_default="the preset's")] = None
    place: Annotated[
        Place | None,
        _option(
            "Where the object is; cut: its middle anywhere, partly off-frame.", _SIZES, show_default="the preset's"
        ),
    ] = None
    max_objects: Annotated[
        int | None,
        _option("A picture shows one to so many objects, which may hide each other.", _SIZES, show_default="1"),
    ] = None
    samples: Annotated[int, _option("Paths a pixel, at the most.", _PICTURE)] = 64
    noise: Annotated[float, _option("Stop sampling a pixel below this noise; 0 never stops.", _PICTURE)] = 0.03
    denoise: Annotated[bool, _option("Denoise the object with Open Image Denoise.", _PICTURE)] = True
    view: Annotated[View, _option("View transform.", _PICTURE)] = View.AgX
    format: Annotated[Format, _option("png is exact, jpg (quality 95) small and fast.", _PICTURE)] = Format.png


def takes_plan_options(command: Callable[..., None]) -> Callable[..., None]:
    """Spread PlanOptions, the command's first parameter, over its command line."""
    options = list(inspect.signature(PlanOptions, eval_str=True).parameters.values())
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]

    @wraps(command)
    def run(**values: Any) -> None:
        command(PlanOptions(**{option.name: values.pop(option.name) for option in options}), **values)

    parameters = sorted((*own, *options), key=lambda parameter: parameter.kind)
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    )
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def changed_options(options: PlanOptions) -> list[str]:
    """The options that were given other than their defaults, as they are typed."""
    return [
        "--" + field.name.replace("_", "-")
        for field in fields(options)
        if getattr(options, field.name) != field.default
    ]


def make_plan(options: PlanOptions, known: Plan | None = None) -> Plan:
    """The plan that was asked for.

    `known`: an earlier plan; assets that it chose by the same request from the network are taken as they stand there.
    Raises SourceError; pydantic.ValidationError for impossible ranges.
    """
    settings = _settings(options)
    render = RenderSettings(
        samples=options.samples,
        noise_threshold=options.noise,
        denoise=options.denoise,
        view=options.view.value,
        format=options.format.value,
        min_area=settings.min_area,
    )
    request = _request(options)
    reusable = known if known is not None and known.request == request else None
    objects = reusable.objects if reusable and request["source"] in _NETWORK else _objects(options, request)
    maps = reusable.maps if reusable and request["hdris"] in _NETWORK else _maps(options, request)
    return Plan(objects, maps, settings, render, options.n, request)


def _request(options: PlanOptions) -> dict[str, Any]:
    """What decides the choice of assets, with every default filled in."""
    source = options.source or (
        Source.folder if options.objects else Source.objaverse if options.categories else Source.starter
    )
    hdris = options.hdris or ("polyhaven" if source is Source.objaverse else "blender")
    request: dict[str, Any] = {"source": source.value, "hdris": hdris, "seed": options.seed}
    if options.objects:
        request["objects"] = str(options.objects.resolve())
    if options.categories:
        request["categories"] = options.categories
    if source is Source.objaverse:
        names = _objaverse_categories(options)
        request |= {
            "categories": names,
            "per_category": math.ceil(options.n / len(names)),
            "licenses": options.licenses,
        }
    if hdris == "polyhaven":
        request |= {"hdri_res": options.hdri_res.value, "n_hdris": options.n_hdris}
    return request


def _objects(options: PlanOptions, request: dict[str, Any]) -> list[Asset]:
    source = Source(request["source"])
    if source is Source.objaverse:
        return _from_objaverse(options, request)
    if source is Source.starter:
        if options.objects is not None:
            raise SourceError("--objects goes with --source folder; the starter objects are made by the program itself")
        with console.status("making the starter objects"):
            found = embedded.objects()
    elif options.objects is None:
        raise SourceError(f"--source {source} needs --objects: {_OBJECTS_HELP[source]}")
    elif source is Source.sweethome:
        with console.status("unpacking"):
            found = sweethome.objects(options.objects)
    else:
        found = folder.objects(options.objects)
    return _of_categories(found, options.categories) if options.categories else found


def _of_categories(found: list[Asset], wanted: str) -> list[Asset]:
    """Only the objects of the categories that are named, or of the first so many in alphabetical order."""
    present = sorted({asset.category for asset in found})
    if wanted.isdecimal():
        if not 1 <= int(wanted) <= len(present):
            raise SourceError(f"--categories {wanted}: this source has {len(present)} categories")
        names = present[: int(wanted)]
    else:
        names = [name.strip() for name in wanted.split(",")]
        for name in names:
            if name not in present:
                near = get_close_matches(name, present, 3) or present[:5]
                raise SourceError(f"--categories: there is no {name!r} in this source; it has {', '.join(near)}, …")
    return [asset for asset in found if asset.category in names]


def _objaverse_categories(options: PlanOptions) -> list[str]:
    wanted = options.categories or "68"
    if wanted.isdecimal():
        return objaverse.default_categories(int(wanted))
    return [name.strip() for name in wanted.split(",")]


def _from_objaverse(options: PlanOptions, request: dict[str, Any]) -> list[Asset]:
    licences = {name.strip() for name in options.licenses.split(",")} if options.licenses else objaverse.LICENCES
    raise NotImplementedError


def _maps(options: PlanOptions, request: dict[str, Any]) -> list[Asset]:
    if request["hdris"] == "blender":
        return embedded.environment_maps()
    if request["hdris"] == "polyhaven":
        raise NotImplementedError
    return folder.environment_maps(Path(request["hdris"]))


def _settings(options: PlanOptions) -> PlanSettings:
    values = PRESETS[options.preset].model_dump() | {"seed": options.seed}
    given = {name: getattr(options, name) for name in values}
    return PlanSettings(**values | {name: value for name, value in given.items() if value is not None})
