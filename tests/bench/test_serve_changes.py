"""The tiles of `bench serve`, and the changes of its pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from bench.serve.app import BODY_LIMITS
from bench.serve.changes import Changes
from bench.serve.tiles import TILE_SIDE, NoTile, Pyramid
from objascale.masks import RegionMask
from tests.bench.serving import client, picture, png, service


def test_tiles_are_the_picture() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (700, 1200, 3), np.uint8)
    pyramid = Pyramid(pixels)
    assert pyramid.levels == 3
    content, media = pyramid.tile(0, 2, 1)
    assert media == "image/png"
    part = np.array(Image.open(io.BytesIO(content)))
    assert (part == pixels[TILE_SIDE:, 2 * TILE_SIDE :]).all()
    small = Image.open(io.BytesIO(pyramid.tile(2, 0, 0)[0]))
    assert small.size == (300, 175)
    for place in ((0, 3, 0), (0, 0, 2), (3, 0, 0), (2, 1, 0)):
        with pytest.raises(NoTile):
            pyramid.tile(*place)


def test_a_picture_of_8192_pixels_is_sent_in_small_parts() -> None:
    served = service(models=["box"])
    pixels = np.zeros((8192, 8192, 3), np.uint8)
    pixels[4000:4020, 5000:5030] = (220, 30, 30)
    content = png(pixels)
    assert len(content) < BODY_LIMITS["/api/pictures"]
    asks = client(served)
    about = asks.post("/api/pictures", content=content).json()
    assert (about["width"], about["levels"]) == (8192, 5)
    tile = asks.get(f"/api/tiles/{about['id']}/0/9/7")
    part = np.array(Image.open(io.BytesIO(tile.content)))
    assert (part == pixels[7 * 512 : 8 * 512, 9 * 512 : 10 * 512]).all()
    overview = Image.open(io.BytesIO(asks.get(f"/api/tiles/{about['id']}/4/0/0").content))
    assert overview.size == (512, 512)
    assert asks.get(f"/api/tiles/{about['id']}/0/16/0").status_code == 404


def test_without_changes_the_picture_is_the_same() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    assert Changes().apply(pixels) is pixels


def test_no_value_changes_in_the_round_trip_through_light() -> None:
    values = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 256, 3)
    from bench.serve.changes import _developed

    assert (_developed(values, Changes()._effects(256, 1)) == values).all()


@pytest.mark.parametrize("name", ["sharpness", "motion", "noise", "contrast", "exposure", "compression"])
def test_each_dial_changes_the_picture_and_more_so_when_turned_further(name: str) -> None:
    pixels = np.array(Image.open(io.BytesIO(picture(1200, 300, 60))))

    def change(strength: float) -> float:
        return float(np.abs(Changes(**{name: strength}).apply(pixels).astype(float) - pixels).mean())

    assert 0 < change(2) < change(5)


def test_bands_of_rows_leave_no_seam() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (600, 900, 3), np.uint8)
    changes = Changes(sharpness=5, motion=5)
    whole = changes.apply(pixels)
    from bench.serve import changes as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ROWS_PER_BAND", 600)
        assert (changes.apply(pixels) == whole).all()


def test_shrinking_gives_the_object_a_smaller_share_of_the_same_frame() -> None:
    pixels = np.array(Image.open(io.BytesIO(picture(200, 100, 20))))
    disc = RegionMask.from_full((pixels[..., 0] == 220).astype(np.uint8))
    changes = Changes(shrink=4)
    small, mask = changes.apply(pixels), changes.apply_to_mask(disc)
    assert small.shape == pixels.shape
    assert mask.area == pytest.approx(disc.area / 16, rel=0.1)
    assert (mask.width, mask.height) == (200, 100)
    assert np.allclose(mask.mean(), disc.mean(), atol=1)
    assert (small[:30] == small[0, 0]).all()
    assert small[mask.full()].mean(0)[0] > 180


def test_changes_are_bounded() -> None:
    for wrong in ({"noise": -1}, {"noise": float("nan")}, {"shrink": 1e9}, {"exposure": -6}):
        with pytest.raises(ValidationError):
            Changes(**wrong)
