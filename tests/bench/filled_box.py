"""A model of a user, which runs as FILE.py:FilledBox."""

from __future__ import annotations

import numpy as np


class FilledBox:
    """Fills the prompted box."""

    def set_image(self, image):
        self.shape = image.shape[:2]
        image[:] = 0  # other models do not see this

    def predict(self, prompt):
        x0, y0, x1, y1 = map(round, prompt.box)
        mask = np.zeros(self.shape, bool)
        mask[y0:y1, x0:x1] = True
        return mask
