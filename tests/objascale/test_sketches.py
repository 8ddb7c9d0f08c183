"""The sketch of a picture: other samples pass its tolerances; another map, object or strength of a dial does not.

The pictures are finished from a painted object, so that no test needs a renderer.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from objascale.benchmarks.sketch import SKETCH_LENGTH, sketch, sketch_fault
from objascale.camera import Camera
from objascale.compose import Crop, encode
from objascale.difficulty.context import Shadow
from objascale.difficulty.record import DIALS, Difficulty
from objascale.finish import finish, quality_of
from objascale.masks import RegionMask
from objascale.pose import Pose
from objascale.records import VisibleObject
from objascale.spec import ObjectSpec, SceneSpec

SIDE = 512
CAMERA = Camera(SIDE, SIDE, math.radians(60), 0.3, 0.4)
OF_THE_PICTURE = tuple(dial for dial in DIALS if dial not in ("distractors", "occlusion"))


def painted_map(seed: int) -> np.ndarray:
    """Return a map of smooth random colours with fine grain."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.uniform(0.1, 2, (8, 16, 3)).astype(np.float32), (2048, 1024), interpolation=cv2.INTER_CUBIC)
    return (np.maximum(coarse, 0.05) * rng.uniform(0.8, 1.2, (1024, 2048, 1))).astype(np.float16)


MAP = painted_map(0)


def painted_object(hue: tuple[float, float, float] = (0.6, 0.2, 0.1)) -> np.ndarray:
    """Return a striped disc, 128×128 RGBA, premultiplied."""
    ys, xs = np.mgrid[:128, :128] + 0.5
    alpha = np.clip(60.5 - np.hypot(xs - 64, ys - 64), 0, 1)
    stripes = 0.5 + 0.5 * (np.floor(xs / 12) % 2)
    return np.dstack([*(hue[c] * stripes * alpha for c in range(3)), alpha]).astype(np.float32)


def pinned(difficulty: Difficulty, texels=MAP, rgba=None, seed=5) -> tuple[list[float], int]:
    """Return the sketch of a picture and the area of its object."""
    rgba = painted_object() if rgba is None else rgba
    item = ObjectSpec("a/b", "a", "0" * 64, 0.04, 0.0, 0.5, 0.5)
    spec = SceneSpec(
        0, 0, "m", "1" * 64, SIDE, SIDE, CAMERA.fov, CAMERA.azimuth, CAMERA.elevation, seed, (item,), difficulty
    )
    mask = RegionMask(200, 220, rgba[..., 3] >= 0.5, SIDE, SIDE).tight()
    pose = Pose(np.eye(3), np.zeros(3))
    shown = VisibleObject(mask, 1.0, (0.0, 0.0, 0.0), pose, (0.0,) * 6, [], mask)
    shadow = Shadow(np.full((96, 96), 0.6, np.float32), 180, 260, 180)
    picture, _ = finish(spec, texels, CAMERA, [Crop(rgba, 200, 220)], [shadow], [shown], "AgX")
    return sketch(encode(picture, "jpg", quality_of(spec)), mask.full()), mask.area


def fault(one: tuple[list[float], int], other: tuple[list[float], int]) -> str:
    return sketch_fault(one[0], other[0], other[1])


@pytest.mark.parametrize("strength", [0.5, 2.5])
@pytest.mark.parametrize("dial", OF_THE_PICTURE)
def test_a_wrong_strength_of_any_dial_fails(dial, strength):
    """Motion may be of the object alone, in any direction, so one of three pictures must fail."""
    for seed in range(3 if dial == "motion" else 1):
        right, wrong = (pinned(Difficulty(**{dial: each}), seed=seed) for each in (strength, strength + 1))
        if fault(wrong, right) and fault(right, wrong):
            return
    pytest.fail(f"{dial} {strength + 1} passes for {strength}")


@pytest.mark.parametrize("strength", [0.0, 1.0, 3.0])
def test_other_samples_of_the_light_pass(strength):
    """The light of the object differs by 3 %, smoothly, as denoised light does."""
    difficulty = Difficulty(**dict.fromkeys(OF_THE_PICTURE, strength))
    right, rgba = pinned(difficulty), painted_object()
    for seed in range(3):
        noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, rgba.shape[:2]), None, 2)
        noisy = rgba.copy()
        noisy[..., :3] *= 1 + 0.03 * (noise / noise.std())[..., None]
        assert not fault(pinned(difficulty, rgba=noisy.astype(np.float32)), right)


def test_rounding_of_another_processor_passes():
    """Every hundredth pixel is another one by 1 of 255."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)
    objects = np.zeros((256, 256), bool)
    objects[100:103, 50:53] = True
    rounded = np.where(rng.uniform(size=(256, 256, 1)) < 0.01, picture ^ 1, picture)
    one, other = (sketch(encode(each, "png"), objects) for each in (picture, rounded))
    assert len(one) == SKETCH_LENGTH
    assert not sketch_fault(one, other, 9)


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_another_map_and_another_object_fail(strength):
    difficulty = Difficulty(**dict.fromkeys(OF_THE_PICTURE, strength))
    right = pinned(difficulty)
    assert "colours" in fault(pinned(difficulty, texels=painted_map(1)), right)
    assert fault(pinned(difficulty, rgba=painted_object((0.1, 0.3, 0.6))), right)


def test_a_sketch_of_another_length_is_a_fault():
    right = pinned(Difficulty())
    assert "has 3 numbers" in sketch_fault(right[0], [1.0, 2.0, 3.0], right[1])
