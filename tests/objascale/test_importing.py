"""What becomes of an object file in Blender: which parts are rendered, how large, of what colour, with which mask."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SQUARE = {
    "POSITION": np.float32([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]),
    "TEXCOORD_0": np.float32([[0, 1], [1, 1], [1, 0], [0, 0]]),
    "indices": np.uint16([0, 1, 2, 0, 2, 3]),
}
"""A square that faces +z of glTF, which is −y of Blender, where `look`'s camera stands."""
HALF = 4.0 * np.sqrt(2) * np.tan(0.3)
"""Half the width of the picture in units of the square, whose corners are brought to radius 1."""


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def surface(**factors) -> dict:
    return {"pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 1, **factors}}


def textured(picture: bytes, **material) -> tuple[dict, dict]:
    """Parts and document of the square with a picture on it."""
    material = {**surface(baseColorTexture={"index": 0}), **material}
    images = [{"bufferView": "@picture", "mimeType": "image/png", "name": "picture"}]
    return {**SQUARE, "picture": picture}, {"materials": [material], "textures": [{"source": 0}], "images": images}


def square_mask(low=-1.0, high=1.0) -> np.ndarray:
    """Pixels whose centres lie in the square [low, high]² of the pane's plane."""
    across = ((np.arange(64) + 0.5) / 32 - 1) * HALF
    inside = (across > low) & (across < high)
    return inside[:, None] & inside[None, :]


def colour(seen) -> np.ndarray:
    """Mean linear RGB of the object's pixels."""
    return seen.arrays["rgba"][seen.arrays["mask"]][:, :3].mean(0)


def test_alpha_and_the_mask(glb, look, tmp_path):
    """BLEND 0.4 is all object, BLEND 0 is none, and a leaf's cut-out is a hole to the pixel."""
    leaf = np.full((64, 64, 4), 255, np.uint8)
    leaf[16:48, 16:48, 3] = 90
    parts, document = textured(png(leaf), alphaMode="MASK", alphaCutoff=0.5)
    files = [glb(tmp_path / "leaf.glb", parts, **document)]
    document["materials"][0]["alphaCutoff"] = 0.2
    files.append(glb(tmp_path / "whole.glb", parts, **document))
    for alpha in (0.4, 0.0):
        material = surface(baseColorFactor=[1, 0, 0, alpha]) | {"alphaMode": "BLEND"}
        files.append(glb(tmp_path / f"{alpha}.glb", SQUARE, materials=[material]))
    leaf_, whole, pane, none = look(*([file] for file in files))
    assert (whole.arrays["mask"] == square_mask()).all()
    assert (pane.arrays["mask"] == square_mask()).all()
    assert not none.arrays["mask"].any()
    expected = square_mask() & ~square_mask(-0.5, 0.5)
    assert (leaf_.arrays["mask"] != expected).sum() <= 8  # the texture is interpolated across the hole's rim
    inner = square_mask(-0.9, 0.9)
    assert pane.arrays["rgba"][inner][:, 3] == pytest.approx(0.4, abs=0.15)
    assert pane.arrays["rgba"][inner][:, 3].mean() == pytest.approx(0.4, abs=0.01)
