"""Camera matrix, poses and depth against a ray tracer of this file, which reads the objects' files on its own."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from objascale.camera import Camera
from objascale.color import blender_datafiles
from objascale.dataset import DatasetError, mask_of
from objascale.depth import depth_map, read_depth, write_depth
from objascale.engine import EngineSettings
from objascale.engine.local import LocalWorker
from objascale.engine.messages import Rendered
from objascale.files import file_sha256
from objascale.masks import RegionMask
from objascale.pose import (
    Pose,
    back_project,
    camera_matrix,
    corners,
    project,
    read_camera_matrix,
    read_pose,
    world_to_camera,
)
from objascale.records import RenderRequest
from objascale.settings import RenderSettings
from objascale.sources import Asset
from objascale.spec import ObjectSpec, SceneSpec

SIDE = 320
OFFSET = (
    np.array((1, -1)) / 2048
)  # px of the ray from the pixel's centre: Cycles' pixel filter has a table of 1024 steps
QUICK = RenderSettings(samples=4, denoise=False, noise_threshold=0)
MAP = blender_datafiles() / "studiolights/world/courtyard.exr"


@dataclass(frozen=True)
class Solid:
    """A convex object: its file, and its corners (n, 3) and triangles in the coordinates of Blender's import."""

    path: Path
    points: np.ndarray
    triangles: np.ndarray


@dataclass(frozen=True)
class Shot:
    """A rendered picture: its solids, the rows of their annotations, and its depth map."""

    solids: list[Solid]
    rows: list[dict[str, Any]]
    depth: np.ndarray
    image: bytes


def blender_axes(points: np.ndarray) -> np.ndarray:
    """Turn the axes of a file with y up as Blender's importers do: (x, y, z) becomes (x, −z, y)."""
    return points[:, [0, 2, 1]] * (1, -1, 1)


def random_hull(seed: int) -> tuple[np.ndarray, np.ndarray]:
    points = np.random.default_rng(seed).normal(size=(40, 3)) * (1.5, 0.7, 1.0) + (4, -2, 3)
    hull = ConvexHull(points)
    corners = points[hull.vertices]
    return corners, np.searchsorted(hull.vertices, hull.simplices)


@pytest.fixture(scope="module")
def solids(tmp_path_factory, glb) -> list[Solid]:
    """Return an OBJ, and a GLB whose node is moved, turned and scaled. Neither lies at the origin."""
    folder = tmp_path_factory.mktemp("solids")
    points, triangles = random_hull(1)
    lines = [f"v {x:.9f} {y:.9f} {z:.9f}" for x, y, z in points] + [f"f {a} {b} {c}" for a, b, c in triangles + 1]
    (folder / "hull.obj").write_text("\n".join(lines))
    found = [Solid(folder / "hull.obj", blender_axes(points), triangles)]
    points, triangles = random_hull(2)
    parts = {"POSITION": points.astype(np.float32), "indices": triangles.ravel().astype(np.uint32)}
    node = {"mesh": 0, "translation": [1, 2, 3], "rotation": [0, 0, np.sqrt(0.5), np.sqrt(0.5)], "scale": [2, 2, 2]}
    glb(folder / "hull.glb", parts, nodes=[node])
    placed = 2 * points[:, [1, 0, 2]] * (-1, 1, 1) + (1, 2, 3)  # a quarter turn about z
    return [*found, Solid(folder / "hull.glb", blender_axes(placed), triangles)]


@pytest.fixture(scope="module")
def worker():
    blender = LocalWorker(EngineSettings(workers=1, threads=2, device="cpu", timeout=300))
    yield blender
    blender.close()


def render(worker, solids: list[Solid], spec: SceneSpec, folder: Path, depth_file: str = "depth/0.exr") -> Shot:
    assets = tuple(
        Asset(item.object_id, "thing", solid.path, item.sha256)
        for item, solid in zip(spec.objects, solids, strict=True)
    )
    environment = Asset("courtyard", "", MAP, spec.map_sha256)
    reply = worker.ask(RenderRequest(spec, QUICK, assets, environment, folder, "0.png", depth_file=depth_file))
    assert isinstance(reply, Rendered), reply
    rows = [asdict(row) for row in reply.annotations]
    depth = read_depth(folder / depth_file) if depth_file else np.zeros(0)
    if depth_file:
        assert {row["depth_sha256"] for row in rows} == {file_sha256(folder / depth_file)}
    return Shot(solids, rows, depth, (folder / "0.png").read_bytes())


def spec_of(solids: list[Solid], *places: tuple[float, float, float], cut: bool = False) -> SceneSpec:
    """Return a spec of solids, each with its fraction and place."""
    items = tuple(
        ObjectSpec(solid.path.name, "thing", file_sha256(solid.path), fraction, 0.3 + k, x, y, cut)
        for k, (solid, (fraction, x, y)) in enumerate(zip(solids, places, strict=True))
    )
    return SceneSpec(0, 0, "courtyard", file_sha256(MAP), SIDE, SIDE, 1.0, 0.7, 0.5, 7, items)


@pytest.fixture(scope="module")
def shot(worker, solids, tmp_path_factory) -> Shot:
    """A picture of three solids, of which the first hides part of the second, and the third lies apart."""
    three = [solids[0], solids[1], solids[0]]
    spec = spec_of(three, (0.03, 0.4, 0.4), (0.05, 0.5, 0.45), (0.002, 0.95, 0.95))
    return render(worker, three, spec, tmp_path_factory.mktemp("shot"))


def hits(solid: Solid, row: dict[str, Any]) -> np.ndarray:
    """Return the depth at which the ray through the centre of each pixel enters a convex solid; 0 if it does not."""
    matrix, pose = read_camera_matrix(row), read_pose(row)
    columns, lines = np.meshgrid(np.arange(SIDE) + 0.5 + OFFSET[0], np.arange(SIDE) + 0.5 + OFFSET[1])
    rays = np.stack([columns, lines, np.ones_like(columns)], -1) @ np.linalg.inv(matrix).T  # z is 1
    a, b, c = (pose.apply(solid.points)[solid.triangles[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    inside = pose.apply(solid.points).mean(0)
    normals *= np.sign(((a - inside) * normals).sum(1))[:, None]  # outwards
    towards, at = rays @ normals.T, (a * normals).sum(1)
    with np.errstate(divide="ignore"):
        crossings = at / towards
    enter = np.where(towards < 0, crossings, -np.inf).max(-1)
    leave = np.where(towards > 0, crossings, np.inf).min(-1)
    return np.where(enter < leave, enter, 0)


def test_masks_and_depth_are_those_of_a_ray_tracer_with_the_stored_camera_and_poses(shot):
    expected = [hits(solid, row) for solid, row in zip(shot.solids, shot.rows, strict=True)]
    order = np.stack([np.where(depth > 0, depth, np.inf) for depth in expected])
    nearest = np.where(np.isfinite(order.min(0)), order.argmin(0), -1)
    for number, (row, whole) in enumerate(zip(shot.rows, expected, strict=True)):
        mask = mask_of(row)
        assert np.count_nonzero(mask.full() != (nearest == number)) <= 1
        amodal = RegionMask.from_rle({"size": row["rle_size"], "counts": row["amodal_counts"]})
        assert np.count_nonzero(amodal.full() != (whole > 0)) <= 1
        both = mask.full() & (nearest == number)
        np.testing.assert_allclose(shot.depth[both], whole[both], rtol=1e-5)
    assert shot.rows[1]["visible"] < 0.9


def test_the_depth_map_covers_the_visible_masks_exactly(shot):
    covered = np.zeros((SIDE, SIDE), bool)
    for row in shot.rows:
        covered |= mask_of(row).full()
    assert ((shot.depth > 0) == covered).all()


def test_depth_that_is_projected_back_lies_on_the_surface(shot):
    matrix = read_camera_matrix(shot.rows[0])
    for solid, row in zip(shot.solids, shot.rows, strict=True):
        found = back_project(matrix, np.where(mask_of(row).full(), shot.depth, 0))
        own = read_pose(row).inverse().apply(found)
        planes = ConvexHull(solid.points).equations
        distance = (own @ planes[:, :3].T + planes[:, 3]).max(1)  # from a convex surface, outwards
        assert np.abs(distance).max() < 1e-5 * shot.depth.max() / row["object_scale"]


def test_projected_corners_end_at_the_edges_of_the_whole_mask(shot):
    for solid, row in zip(shot.solids, shot.rows, strict=True):
        matrix, pose = read_camera_matrix(row), read_pose(row)
        seen = project(matrix, pose.apply(solid.points))
        amodal = RegionMask.from_rle({"size": row["rle_size"], "counts": row["amodal_counts"]})
        assert np.abs(np.ravel([seen.min(0), seen.max(0)]) - amodal.box).max() < 1.0
        column, line = np.floor(project(matrix, pose.apply(solid.points.mean(0)[None]))[0]).astype(int)
        assert amodal.full()[line, column]
        np.testing.assert_allclose(
            row["object_bounds"], [*solid.points.min(0), *solid.points.max(0)], rtol=1e-5, atol=1e-5
        )


def test_the_object_stands_upright_in_the_world(shot):
    """Camera and object pose together give the transform to the world, in which objects are only turned about z."""
    for row in shot.rows:
        world = read_pose(row, "camera").inverse() @ read_pose(row)
        np.testing.assert_allclose(world.rotation[2], (0, 0, 1), atol=1e-12)
    first = read_pose(shot.rows[0], "camera").inverse() @ read_pose(shot.rows[0])
    bounds = first.apply(corners(shot.rows[0]["object_bounds"]))
    np.testing.assert_allclose(bounds.mean(0), 0, atol=1e-6)  # the nearest object is at the origin
    distances = np.linalg.norm(first.apply(shot.solids[0].points), axis=1)
    assert distances.max() == pytest.approx(1, abs=1e-6)  # and its radius is the unit


def test_depth_changes_neither_the_picture_nor_the_annotations(worker, solids, tmp_path):
    spec = spec_of(solids[:1], (0.02, 0.3, 0.6))
    shots = [render(worker, solids[:1], spec, tmp_path, name) for name in ("", "d.exr", "")]
    assert len({shot.image for shot in shots}) == 1
    rows = [{k: v for (k, v) in shot.rows[0].items() if k[:5] not in ("depth", "secon", "peak_")} for shot in shots]
    assert rows[0] == rows[1] == rows[2]


def test_the_visible_share_counts_parts_beyond_the_edge_and_behind_others(worker, solids, tmp_path):
    """The whole silhouette is that of a ray tracer on a larger picture."""
    spec = spec_of(solids, (0.03, 0.1, 0.5), (0.05, 0.02, 0.45), cut=True)
    shot = render(worker, solids, spec, tmp_path)
    for solid, row in zip(solids, shot.rows, strict=True):
        matrix = read_camera_matrix(row)
        matrix[:2, 2] += SIDE / 2  # half as many pixels around the picture, at half the resolution
        matrix[:2] /= 2
        whole = 4 * np.count_nonzero(hits(solid, {**row, "camera_k": matrix.ravel()}))
        assert row["visible"] == pytest.approx(row["area"] / whole, abs=0.02)
    assert shot.rows[1]["visible"] < 0.6


# ---- without Blender

angles = st.floats(-3, 3)


@given(angles, st.floats(0, 1.5), st.floats(0.5, 20), st.integers(0, 100))
def test_the_camera_matrix_and_pose_project_as_the_camera_does(azimuth, elevation, distance, seed):
    camera = Camera(300, 200, 0.9, azimuth, elevation).looking_at_origin_through(40, 150, distance)
    points = np.random.default_rng(seed).normal(size=(20, 3))
    seen = project(camera_matrix(camera), world_to_camera(camera).apply(points))
    np.testing.assert_allclose(seen, camera.project(points), rtol=1e-9, atol=1e-6)


@given(angles, st.floats(0.1, 10), st.integers(0, 100))
def test_a_pose_and_its_inverse_cancel(angle, scale, seed):
    rng = np.random.default_rng(seed)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    pose, points = Pose(turn, rng.normal(size=3), scale), rng.normal(size=(5, 3))
    np.testing.assert_allclose(pose.inverse().apply(pose.apply(points)), points, atol=1e-9)
    np.testing.assert_allclose((pose.inverse() @ pose).apply(points), points, atol=1e-9)
    other = replace(pose, translation=rng.normal(size=3))
    np.testing.assert_allclose((pose @ other).apply(points), pose.apply(other.apply(points)), atol=1e-9)


def test_rows_of_earlier_versions_have_no_pose():
    assert read_pose({}) is None
    assert read_camera_matrix({"camera_k": float("nan")}) is None  # as pandas fills a missing value


@pytest.mark.parametrize("values", [[], [1.0] * 8, ["a"] * 9, [[1.0]] * 9, [float("nan")] * 9, "123456789", None])
def test_damaged_numbers_are_not_read(values):
    row = {"camera_k": values, "object_rotation": values, "object_translation": [0.0] * 3, "object_scale": 1.0}
    assert read_camera_matrix(row) is None
    assert read_pose(row) is None
    assert read_pose({**row, "object_rotation": [1.0] * 9, "object_scale": values}) is None


def test_a_depth_map_is_read_as_it_was_written(tmp_path):
    part = np.float32([[1.5, 2.25], [0, 4000.123]])
    depth = depth_map([((3, 1, 5, 3), part)], 7, 4)
    for name in ("deep/one.exr", "two.exr"):
        write_depth(tmp_path / name, depth)
    assert (read_depth(tmp_path / "two.exr") == depth).all()
    assert depth[1:3, 3:5].tolist() == part.tolist()
    assert np.count_nonzero(depth) == 3
    assert (tmp_path / "two.exr").read_bytes() == (tmp_path / "deep/one.exr").read_bytes()


def test_damaged_depth_maps_are_refused_with_a_sentence(tmp_path):
    path = tmp_path / "depth.exr"
    with pytest.raises(DatasetError, match=r"depth\.exr cannot be read \(No such file"):
        read_depth(path)
    write_depth(path, np.random.default_rng(0).random((40, 30), np.float32))
    data = path.read_bytes()
    for damaged in (b"", b"no", data[:50], data[:-900], data.replace(b"Z\0", b"Y\0", 1)):
        path.write_bytes(damaged)
        with pytest.raises(DatasetError, match=r"depth\.exr is no depth map of objascale render, or is damaged"):
            read_depth(path)
