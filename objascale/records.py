"""Records that accompany a picture: the request to a worker, and the rows that it returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from objascale.camera import Camera
from objascale.dataset import OBJECTS_PER_IMAGE, depth_file, image_file, mask_columns
from objascale.difficulty.record import Difficulty, difficulty_columns
from objascale.masks import RegionMask
from objascale.plan import Plan
from objascale.pose import Pose, camera_columns, object_columns
from objascale.settings import RenderSettings
from objascale.sources import Asset
from objascale.spec import SceneSpec, spec_id


@dataclass(frozen=True)
class RenderRequest:
    """Request to render one spec.

    Attributes:
        spec: The picture.
        settings: Settings of the renderer.
        objects: Assets of the spec's objects, in the spec's order.
        map: The environment map.
        folder: Folder of the data set.
        file: Image to write, relative to the folder.
        full_frame: File of a full-frame render by Blender, written in addition; None for none.
        depth_file: Depth map to write, relative to the folder; "" for none.
    """

    spec: SceneSpec
    settings: RenderSettings
    objects: tuple[Asset, ...]
    map: Asset
    folder: Path
    file: str
    full_frame: Path | None = None
    depth_file: str = ""


@dataclass(frozen=True)
class VisibleObject:
    """Measurements of one object in a picture.

    Attributes:
        mask: Its visible part.
        visible: Visible part / whole silhouette.
        position: Position of the camera, seen from the object.
        pose: Transform from the coordinates of the object, as Blender imports it, to camera coordinates.
        bounds: Smallest and largest x, y, z of the object in its coordinates.
        missing_textures: Names of textures that cannot be used.
        whole: Its amodal mask, inside the picture.
        uncertain: Pixels that the blur makes uncertain; None in a picture without difficulty.
    """

    mask: RegionMask
    visible: float
    position: tuple[float, float, float]
    pose: Pose
    bounds: tuple[float, ...]
    missing_textures: list[str]
    whole: RegionMask
    uncertain: RegionMask | None = None


@dataclass(frozen=True)
class AnnotationRow:
    """A row of annotations.parquet: one object of one picture. See docs/formats.md.

    `columns` returns its values. `difficulty` becomes one column per dial. Rows of pictures without difficulty have
    neither these columns nor `uncertain_counts`. Rows of pictures without depth have neither `depth_file` nor
    `depth_sha256`.
    """

    object_id: int
    image_id: int
    file: str
    category: str
    asset_id: str
    asset_sha256: str
    hdri_id: str
    map_sha256: str
    target_fraction: float
    title: str
    author: str
    licence: str
    url: str
    spec_id: str
    seed: int
    width: int
    height: int
    box: list[int]
    area: int
    fraction: float
    rle_size: list[int]
    rle_counts: str
    mean_x: float
    mean_y: float
    cov_xx: float
    cov_xy: float
    cov_yy: float
    visible: float
    position: list[float]
    camera_k: list[float]
    camera_rotation: list[float]
    camera_translation: list[float]
    object_rotation: list[float]
    object_translation: list[float]
    object_scale: float
    object_bounds: list[float]
    amodal_counts: str
    missing_textures: list[str]
    image_sha256: str
    peak_mib: int
    seconds_import: float
    seconds_place: float
    seconds_trace: float
    seconds_compose: float
    seconds_encode: float
    seconds_write: float
    difficulty: Difficulty | None = None
    uncertain_counts: str = ""
    depth_file: str = ""
    depth_sha256: str = ""

    def columns(self) -> dict[str, Any]:
        """Return the value of each column of annotations.parquet."""
        values = asdict(self)
        difficulty = values.pop("difficulty")
        if not self.depth_file:
            del values["depth_file"], values["depth_sha256"]
        if difficulty is None:
            del values["uncertain_counts"]
            return values
        return values | difficulty_columns(difficulty)


@dataclass(frozen=True)
class CropView:
    """View of one crop.

    Attributes:
        map_id: Id of the environment map.
        turn: Rotation of the map about the vertical axis, radians.
        azimuth: Direction of the camera, radians; see `camera.Camera`.
        elevation: Angle by which the camera looks down, radians.
        fov: Angle that the object's bounding sphere fills, radians.
        seed: Seed of the path tracer.
    """

    map_id: str
    turn: float
    azimuth: float
    elevation: float
    fov: float
    seed: int


@dataclass(frozen=True)
class CropRequest:
    """Request to render one object alone, from several sides.

    Attributes:
        asset: The object.
        views: A view for each crop.
        maps: The environment map of each view.
        files: File of each crop, relative to the folder.
        folder: Folder of the crops.
        px: Side of the rendered square, px.
        settings: Settings of the renderer.
    """

    asset: Asset
    views: tuple[CropView, ...]
    maps: tuple[Asset, ...]
    files: tuple[str, ...]
    folder: Path
    px: int
    settings: RenderSettings


@dataclass(frozen=True)
class CropRow:
    """A row of crops.parquet: one crop. See docs/formats.md."""

    file: str
    asset_id: str
    asset_sha256: str
    category: str
    title: str
    author: str
    licence: str
    url: str
    hdri_id: str
    map_sha256: str
    width: int
    height: int
    opaque: int
    spec: CropView


def render_request(plan: Plan, spec: SceneSpec, folder: Path, depth: bool = False) -> RenderRequest:
    """Return the request to render a spec of a plan into the data set in `folder`, with or without its depth map."""
    objects, environment = plan.assets(spec)
    file = image_file(spec.slot, plan.render.format)
    map_of_depth = depth_file(spec.slot) if depth else ""
    return RenderRequest(spec, plan.render, objects, environment, folder, file, depth_file=map_of_depth)


def annotation_rows(
    request: RenderRequest,
    shown: Sequence[VisibleObject],
    digest: str,
    peak_mib: int,
    seconds: Mapping[str, Any],
    depth_sha256: str = "",
) -> list[AnnotationRow]:
    """Return the annotations of a picture, a row per object.

    Args:
        request: The request for the picture.
        shown: The objects, in the spec's order.
        digest: SHA-256 of the image's file, hexadecimal.
        peak_mib: Largest memory of the worker so far, MiB.
        seconds: Seconds of each stage, under the column's name: `seconds_import`, `seconds_place` and so on.
        depth_sha256: SHA-256 of the depth map's file, hexadecimal; "" if there is none.
    """
    spec = request.spec
    camera = Camera(spec.width, spec.height, spec.fov, spec.azimuth, spec.elevation, shown[0].position)
    identity = spec_id(spec, request.settings)
    return [
        AnnotationRow(
            object_id=OBJECTS_PER_IMAGE * spec.slot + number,
            image_id=spec.slot,
            file=request.file,
            category=item.category,
            asset_id=item.object_id,
            asset_sha256=item.sha256,
            hdri_id=spec.map_id,
            map_sha256=spec.map_sha256,
            target_fraction=item.target_fraction,
            title=asset.title,
            author=asset.author,
            licence=asset.licence,
            url=asset.url,
            spec_id=identity,
            seed=spec.seed,
            **mask_columns(each.mask),
            visible=each.visible,
            position=list(each.position),
            **camera_columns(camera),
            **object_columns(each.pose),
            object_bounds=list(each.bounds),
            amodal_counts=_counts(each.whole),
            missing_textures=each.missing_textures,
            image_sha256=digest,
            peak_mib=peak_mib,
            **seconds,
            difficulty=spec.difficulty,
            uncertain_counts=_counts(each.uncertain),
            depth_file=request.depth_file,
            depth_sha256=depth_sha256,
        )
        for number, (item, asset, each) in enumerate(zip(spec.objects, request.objects, shown, strict=True))
    ]


def _counts(mask: RegionMask | None) -> str:
    return mask.rle()["counts"] if mask is not None and mask.area else ""


def crop_row(request: CropRequest, number: int, width: int, height: int, opaque: int) -> CropRow:
    """Return the row of one crop. `opaque` is the number of pixels with an alpha of ½ or more."""
    asset, environment = request.asset, request.maps[number]
    return CropRow(
        file=request.files[number],
        asset_id=asset.id,
        asset_sha256=asset.sha256,
        category=asset.category,
        title=asset.title,
        author=asset.author,
        licence=asset.licence,
        url=asset.url,
        hdri_id=environment.id,
        map_sha256=environment.sha256,
        width=width,
        height=height,
        opaque=opaque,
        spec=request.views[number],
    )
