"""All dials of one picture, applied to objects, to bands of rows, and to masks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from objascale.camera import Camera
from objascale.difficulty.contrast import AIRLIGHT, transmission
from objascale.difficulty.exposure import metered_gain, stops
from objascale.difficulty.motion import direction, motion_length, moving
from objascale.difficulty.noise import expose, normal_values
from objascale.difficulty.record import Difficulty, stream
from objascale.difficulty.sharpness import defocus_sigma, object_sigma
from objascale.difficulty.spread import Spread
from objascale.masks import RegionMask

UNCERTAIN = (0.02, 0.98)
"""Pixels at which a spread mask lies between these values are uncertain."""


@dataclass(frozen=True)
class Effects:
    """What the camera does to the light of a picture.

    Attributes:
        scale: Factor on the light of the scene: exposure and haze.
        veil: Light that the haze adds.
        objects: Spread of the objects alone.
        everything: Spread of objects and background.
        noise: Strength of the noise.
        seed: Seed of the noise.
    """

    scale: float
    veil: float
    objects: Spread
    everything: Spread
    noise: float
    seed: int

    @classmethod
    def of(
        cls, difficulty: Difficulty, seed: int, camera: Camera, texels: NDArray[np.float16], smallest_area: float
    ) -> Effects:
        """Turn strengths into effects.

        Args:
            difficulty: The strengths.
            seed: Seed of the picture.
            camera: Camera of the picture.
            texels: Environment map, see `background.render_rows`.
            smallest_area: Area of the smallest mask, px. It limits all blur.
        """
        exposure = 2.0 ** stops(difficulty.exposure, stream("exposure", seed))
        passing = transmission(difficulty.contrast)
        rng = stream("motion", seed)
        length = motion_length(difficulty.motion, camera, smallest_area)
        of_object, of_camera = (length * moves for moves in moving(rng))
        return cls(
            scale=metered_gain(texels, camera) * exposure * passing,
            veil=AIRLIGHT * exposure * (1 - passing),
            objects=Spread.visible(object_sigma(camera, texels.shape[1], smallest_area), of_object, direction(rng)),
            everything=Spread.visible(
                defocus_sigma(difficulty.sharpness, camera, smallest_area), of_camera, direction(rng)
            ),
            noise=difficulty.noise,
            seed=seed,
        )

    def spread_objects(
        self, rgba: NDArray[np.float32], x: int, y: int, camera: Camera
    ) -> tuple[NDArray[np.float32], int, int]:
        """Spread the objects alone.

        Args:
            rgba: (h, w, 4) traced box of the picture, premultiplied by alpha.
            x: Left column of the box.
            y: Upper row of the box.
            camera: Camera of the picture.

        Returns:
            The box, larger by the reach of the spread where the picture goes on, and its left column and upper row.
        """
        padded, x, y = _padded(rgba, x, y, camera.width, camera.height, self.objects.reach)
        return self.objects.apply(padded), x, y

    def develop(self, light: NDArray[np.float32], first: int, rows: slice) -> NDArray[np.float32]:
        """Apply spread, haze, exposure and noise to rows of the picture.

        Args:
            light: Scene-linear rows of the whole width, with `everything.reach` more above and below, where the picture
                has them.
            first: First row of the picture that is returned. It selects the noise.
            rows: The rows of `light` to return.

        Returns:
            Scene-linear RGB.
        """
        seen = np.ascontiguousarray(self.everything.apply(light)[rows])
        expose(seen, self.scale, self.veil, self.noise, self._normal, stream("noise", self.seed, first))
        return seen

    @cached_property
    def _normal(self) -> NDArray[np.float32]:
        return normal_values(stream("noise", self.seed))

    def uncertain(self, mask: RegionMask) -> RegionMask:
        """Return the pixels at which the spread mask is neither object nor background."""
        reach = self.objects.reach + self.everything.reach
        values, x, y = _padded(mask.data.astype(np.float32), mask.x, mask.y, mask.width, mask.height, reach)
        values = self.everything.apply(self.objects.apply(values))
        low, high = UNCERTAIN
        return RegionMask(x, y, (values > low) & (values < high), mask.width, mask.height).tight()


def _padded(
    values: NDArray[np.float32], x: int, y: int, width: int, height: int, reach: int
) -> tuple[NDArray[np.float32], int, int]:
    """Extend a box by zeros on each side, but not beyond the picture. Return it with its left column and upper row."""
    h, w = values.shape[:2]
    left, top = min(reach, x), min(reach, y)
    right, bottom = min(reach, width - x - w), min(reach, height - y - h)
    sides = ((top, bottom), (left, right), (0, 0))[: values.ndim]
    return np.pad(values, sides), x - left, y - top
