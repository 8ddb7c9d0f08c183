"""Options that choose assets and make a plan, shared by the commands that take them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from objascale.choices import ImageFormat
from objascale.plan import PlacementMode, ViewTransform
from objascale.sources import StarterSplit
from objascale.sources.polyhaven import Resolution

SourceName = Literal["starter", "folder", "sweethome", "objaverse"]
PresetName = Literal["paper", "full"]

_ASSET_PANEL, _SIZE_PANEL, _QUALITY_PANEL = "Objects and environment maps", "Sizes and places", "Picture quality"
_OF_PRESET = "the preset's"


def _option(text: str, panel: str, **more: Any) -> Any:
    return typer.Option(help=text, rich_help_panel=panel, **more)


_StarterSplit = Annotated[
    StarterSplit,
    _option("Which starter objects. train: flip-s was trained on them. test: no shipped model was.", _ASSET_PANEL),
]


@dataclass(frozen=True)
class AssetOptions:
    """Which objects and which environment maps to use."""

    source: Annotated[
        SourceName | None,
        _option(
            "Where objects come from. starter: the program generates them.",
            _ASSET_PANEL,
            show_default="objaverse with --categories, folder with --objects, else starter",
        ),
    ] = None
    starter_split: _StarterSplit = "train"
    objects: Annotated[
        Path | None,
        _option(
            "folder: objects as PATH/CATEGORY/NAME.glb (gltf, obj, fbx, …) or PATH/CATEGORY/NAME/scene.gltf. "
            "sweethome: an .sh3f file or a folder.",
            _ASSET_PANEL,
        ),
    ] = None
    categories: Annotated[
        str | None,
        _option(
            "A number of categories (68: all in objascale/data/categories.csv), or their names: apple,truck.",
            _ASSET_PANEL,
            metavar="N|NAME,...",
        ),
    ] = None
    licenses: Annotated[
        str | None,
        _option(
            "Use only objects under these licences, of any version: cc0,by.",
            _ASSET_PANEL,
            metavar="NAME,...",
            show_default="cc0,by,by-sa of Objaverse, else any",
        ),
    ] = None
    hdris: Annotated[
        str | None,
        _option(
            "Environment maps: .exr or .hdr, a file or a folder, polyhaven, or blender (the eight that Blender ships).",
            _ASSET_PANEL,
            metavar="PATH|polyhaven|blender",
            show_default="polyhaven with objaverse, else blender",
        ),
    ] = None
    ldr_maps: Annotated[
        bool, _option("Take panoramas of low dynamic range (.jpg, .png) from --hdris too.", _ASSET_PANEL)
    ] = False
    hdri_res: Annotated[Resolution, _option("Width of Poly Haven's maps.", _ASSET_PANEL)] = "16k"
    n_hdris: Annotated[int, _option("Number of Poly Haven's maps.", _ASSET_PANEL, min=1)] = 100
    offline: Annotated[bool, _option("Use only files that are in the cache.", _ASSET_PANEL)] = False
    exclude_categories: Annotated[
        list[str] | None, _option("Leave these categories out: truck,shoe.", _ASSET_PANEL, metavar="NAME,...")
    ] = None
    exclude: Annotated[
        list[str] | None,
        _option(
            "Leave out objects whose id or title matches a pattern: *horse*,*/sofa?.",
            _ASSET_PANEL,
            metavar="PATTERN,...",
        ),
    ] = None
    exclude_maps: Annotated[
        list[str] | None, _option("Leave these environment maps out: forest,dawn.", _ASSET_PANEL, metavar="NAME,...")
    ] = None
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0


@dataclass(frozen=True)
class PlanOptions(AssetOptions):
    """The options of `objascale plan` and `objascale render`.

    Pictures serve to measure models, so they show the starter objects outside all training data.
    """

    starter_split: _StarterSplit = "test"
    n: Annotated[int, typer.Option(min=1, help="Number of images.")] = 100
    preset: Annotated[
        PresetName,
        _option(
            "paper: masks of 2 to 1e5 px and 1e-6 to 0.3 of the picture, at its centre. full: 1e-7 to 0.25, anywhere.",
            _SIZE_PANEL,
        ),
    ] = "paper"
    min_px: Annotated[int | None, _option("Smallest picture, px a side.", _SIZE_PANEL, show_default="512")] = None
    max_px: Annotated[int | None, _option("Largest picture, px a side.", _SIZE_PANEL, show_default="8192")] = None
    min_fraction: Annotated[
        float | None, _option("Smallest mask area / picture area.", _SIZE_PANEL, show_default=_OF_PRESET)
    ] = None
    max_fraction: Annotated[
        float | None, _option("Largest mask area / picture area.", _SIZE_PANEL, show_default=_OF_PRESET)
    ] = None
    min_area: Annotated[int | None, _option("Smallest mask, px.", _SIZE_PANEL, show_default=_OF_PRESET)] = None
    max_area: Annotated[int | None, _option("Largest mask, px.", _SIZE_PANEL, show_default=_OF_PRESET)] = None
    place: Annotated[
        PlacementMode | None,
        _option(
            "Position of the object. cut: its centre anywhere, so that the picture's edge may cut it.",
            _SIZE_PANEL,
            show_default=_OF_PRESET,
        ),
    ] = None
    max_objects: Annotated[
        int | None,
        _option("Largest number of objects in a picture. They may hide each other.", _SIZE_PANEL, show_default="1"),
    ] = None
    samples: Annotated[int, _option("Largest number of paths a pixel.", _QUALITY_PANEL)] = 64
    noise: Annotated[
        float, _option("Stop sampling a pixel below this noise; 0 never stops.", _QUALITY_PANEL, min=0)
    ] = 0.03
    denoise: Annotated[bool, _option("Denoise the object with Open Image Denoise.", _QUALITY_PANEL)] = True
    view: Annotated[ViewTransform, _option("View transform.", _QUALITY_PANEL)] = "AgX"
    format: Annotated[ImageFormat, _option("png is exact; jpg (quality 95) is small and fast.", _QUALITY_PANEL)] = "png"


def takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """Turn a command's first parameter, AssetOptions or PlanOptions, into one command-line option per field."""
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
    """Return the options that differ from their defaults, as they are typed: --max-px."""
    return [
        "--" + field.name.replace("_", "-")
        for field in fields(options)
        if getattr(options, field.name) != field.default
    ]
