"""Records of a data set that were skipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from objascale.dataset import DatasetError
from objascale.datasets import Dataset, Sample
from objascale.masks import MaskError


def describe_skipped(skipped: Mapping[str, int]) -> str:
    """Return the reasons and their numbers in one line, the most frequent first.

    Example:
        >>> describe_skipped({"annotation without an id": 1, "annotation without a segmentation": 3})
        'skipped 4 records: 3 × annotation without a segmentation, 1 × annotation without an id'
    """
    ordered = sorted(skipped.items(), key=lambda each: -each[1])
    total = sum(skipped.values())
    return f"skipped {total} record{'s' * (total > 1)}: " + ", ".join(f"{n} × {reason}" for reason, n in ordered)


def refuse_bad_records(dataset: Dataset, samples: Sequence[Sample]) -> None:
    """Check that no record was skipped and that every mask of some images can be read.

    Args:
        dataset: The data set.
        samples: Images to read the masks of.

    Raises:
        DatasetError: A record was skipped, or a mask cannot be read.
    """
    if dataset.skipped:
        raise DatasetError(f"{dataset.path}: {describe_skipped(dataset.skipped)}; correct them, or omit --strict")
    for sample in samples:
        for truth in sample.objects():
            try:
                truth.mask()
            except MaskError as error:
                raise DatasetError(f"{dataset.path}: {error}; correct it, or omit --strict") from error
