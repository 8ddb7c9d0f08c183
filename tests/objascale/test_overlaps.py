"""Coincident surfaces: none is black, and silhouettes do not change."""

from __future__ import annotations

import numpy as np
import pytest

from objascale.color import to_display

SQUARE = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32)
FACES = np.array([0, 1, 2, 0, 2, 3], np.uint16)
GREEN = {"pbrMetallicRoughness": {"baseColorFactor": [0.1, 0.7, 0.2, 1], "metallicFactor": 0}}
INVISIBLE = {"alphaMode": "BLEND", "pbrMetallicRoughness": {"baseColorFactor": [1, 0, 0, 0]}}


def difference(one, other) -> float:
    """Return the mean difference of two images in 8-bit steps."""
    pictures = (np.ascontiguousarray(seen.arrays["rgba"][..., :3]) for seen in (one, other))
    first, second = (to_display(picture, "Standard").astype(int) for picture in pictures)
    return float(np.abs(first - second).mean())


@pytest.fixture
def square(glb, tmp_path):
    """Return a function that writes a square, seen from above, with the given indices and nodes."""

    def write(name: str, indices: np.ndarray = FACES, positions: np.ndarray = SQUARE, material=GREEN, **document):
        if material is not None:
            document = {"materials": [material], **document}
        turned = positions[:, [0, 2, 1]] * np.float32([1, 1, -1])  # glTF's y is up
        return glb(tmp_path / f"{name}.glb", {"POSITION": turned, "indices": indices}, **document)

    return write


def test_duplicate_and_overlapping_squares_look_like_one(square, look):
    reversed_faces = FACES[::-1]
    other_diagonal = np.array([1, 2, 3, 1, 3, 0], np.uint16)
    slanted = np.array([[-1, -1, 0], [1, -0.5, 0], [0.3, 1, 0]], np.float32)
    twice = {"nodes": [{"mesh": 0}, {"mesh": 0}], "scenes": [{"nodes": [0, 1]}]}
    files = [
        square("plain"),
        square("doubled", np.concatenate([FACES, FACES])),
        square("reversed", np.concatenate([FACES, reversed_faces])),
        square("tripled", np.concatenate([FACES, reversed_faces, FACES])),
        square("diagonals", np.concatenate([FACES, other_diagonal])),
        square("covered", np.append(FACES, [4, 5, 6]).astype(np.uint16), np.concatenate([SQUARE, slanted])),
        square("two nodes", **twice),
    ]
    one, *others = look(*([file] for file in files), azimuth=1.0, elevation=1.2)
    assert one.arrays["mask"].sum() > 300
    for file, seen in zip(files[1:], others, strict=True):
        assert (seen.arrays["mask"] == one.arrays["mask"]).all(), file.stem
        assert difference(seen, one) < 2, file.stem


def test_overlaps_without_a_material_are_grey(square, look):
    other_diagonal = np.array([1, 2, 3, 1, 3, 0], np.uint16)
    one, two = look(
        [square("plain", material=None)],
        [square("twice", np.concatenate([FACES, other_diagonal]), material=None)],
        azimuth=1.0,
        elevation=1.2,
    )
    assert difference(one, two) < 2
    assert np.median(one.arrays["rgba"][one.arrays["mask"]][:, :3]) == pytest.approx(0.8, abs=0.01)


def test_an_invisible_duplicate_does_not_replace_a_visible_face(square, look):
    primitives = [{"attributes": {"POSITION": "@POSITION"}, "indices": "@indices", "material": m} for m in (0, 1)]
    seen, one = look(
        [square("two", materials=[GREEN, INVISIBLE], meshes=[{"primitives": primitives}])],
        [square("one")],
        azimuth=1.0,
        elevation=1.2,
    )
    assert (seen.arrays["mask"] == one.arrays["mask"]).all()
    assert difference(seen, one) < 2


def test_the_remaining_faces_keep_normals_and_texture_coordinates(glb, tmp_path, look):
    normals = np.float32([[0.6, 0.8, 0], [0, 1, 0], [0, 0.8, 0.6], [-0.6, 0.8, 0]])
    uvs = np.float32([[0, 0], [1, 0], [1, 1], [0, 1]])
    turned = SQUARE[:, [0, 2, 1]] * np.float32([1, 1, -1])
    parts = {"POSITION": turned, "NORMAL": normals, "TEXCOORD_0": uvs}
    files = [
        glb(tmp_path / f"{name}.glb", {**parts, "indices": indices}, materials=[GREEN])
        for name, indices in (("one", FACES), ("two", np.concatenate([FACES[::-1], FACES])))
    ]
    then = (
        "mesh = next(thing.data for thing in bpy.data.objects if thing.type == 'MESH')\n"
        "answer['corners'] = sorted((*(round(v, 3) for v in mesh.vertices[loop.vertex_index].co),"
        " *(round(v, 2) for v in loop.normal), *(round(v, 3) for v in mesh.uv_layers[0].data[loop.index].uv))"
        " for loop in mesh.loops)"
    )
    one, two = look(*([file] for file in files), then=then)
    assert len(one.answer["corners"]) == 6
    np.testing.assert_allclose(two.answer["corners"], one.answer["corners"], atol=0.01)


def test_public_files_with_doubled_faces_have_no_black_surface(shared, look):
    folder = shared / "faults/models/doubled-faces"
    plain, doubled, box, spatula = look(
        *([folder / name] for name in ("cube_plain.glb", "cube_exact_duplicates.glb", "BoxAnimated.glb")),
        [folder / "cooking-spatula/model.gltf"],
        azimuth=1.0,
        elevation=0.4,
    )
    assert (doubled.arrays["mask"] == plain.arrays["mask"]).all()
    assert difference(doubled, plain) < 2
    for seen in (box, spatula):
        inner = seen.arrays["mask"] & (seen.arrays["rgba"][..., 3] > 0.99)
        assert seen.arrays["rgba"][inner][:, :3].max(1).min() > 0.1
