"""The options that choose assets and make a plan, shared by the commands that take them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from objascale.sources import StarterSplit

Source = StrEnum("Source", ["starter", "folder", "sweethome", "objaverse"])
Preset = StrEnum("Preset", ["paper", "full"])
Place = StrEnum("Place", ["centre", "anywhere", "cut"])
Format = StrEnum("Format", ["png", "jpg"])
View = StrEnum("View", [("AgX", "AgX"), ("Filmic", "Filmic"), ("Standard", "Standard")])
Resolution = StrEnum("Resolution", ["1k", "2k", "4k", "8k", "16k"])

_ASSETS, _SIZES, _PICTURE = "Objects and environment maps", "Sizes and places", "Picture quality"


def _option(text: str, panel: str, **more: Any) -> Any:
    return typer.Option(help=text, rich_help_panel=panel, **more)


_StarterSplit = Annotated[
    StarterSplit,
    _option("Which of the starter objects. train: flip-s has learned from them. test: nothing shipped has.", _ASSETS),
]


@dataclass(frozen=True)
class AssetOptions:
    """Which objects, and which environment maps."""

    source: Annotated[
        Source | None,
        _option(
            "Where objects come from. starter: the program makes them itself.",
            _ASSETS,
            show_default="objaverse with --categories, folder with --objects, else starter",
        ),
    ] = None
    starter_split: _StarterSplit = "train"
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
            "Objects under these licences only, of any version, as cc0,by.",
            _ASSETS,
            show_default="cc0,by,by-sa of Objaverse, else any",
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
    hdri_res: Annotated[Resolution, _option("Poly Haven's maps are this wide.", _ASSETS)] = Resolution["16k"]
    n_hdris: Annotated[int, _option("So many of Poly Haven's maps.", _ASSETS, min=1)] = 100
    offline: Annotated[bool, _option("Use only what was downloaded before.", _ASSETS)] = False
    exclude_categories: Annotated[str | None, _option("Leave these categories out: truck,shoe.", _ASSETS)] = None
    exclude: Annotated[
        str | None, _option("Leave out objects whose id or title matches one of these, as *horse*,*/sofa?.", _ASSETS)
    ] = None
    exclude_maps: Annotated[str | None, _option("Leave these environment maps out: forest,dawn.", _ASSETS)] = None
    seed: Annotated[int, typer.Option(min=0, help="Decides every random choice.")] = 0


@dataclass(frozen=True)
class PlanOptions(AssetOptions):
    """The options of `objascale plan`, which `objascale render` takes too.

    Pictures are made to measure models on, so they show the starter objects that no model has learned from.
    """

    starter_split: _StarterSplit = "test"
    n: Annotated[int, typer.Option(min=1, help="Number of images.")] = 100
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


def takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """Spread the options that are a command's first parameter, AssetOptions or PlanOptions, over its command line."""
    first, *own = inspect.signature(command, eval_str=True).parameters.values()
    kind = first.annotation
    options = list(inspect.signature(kind, eval_str=True).parameters.values())

    @wraps(command)
    def run(**values: Any) -> None:
        command(kind(**{option.name: values.pop(option.name) for option in options}), **values)

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
