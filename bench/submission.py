"""Submissions: the result of one model on one data set, as a small file that others can check and list.

A submission is JSON in the form of a model card's metadata on the Hugging Face hub: `model-index`, as huggingface_hub
writes it, has the data set and the metrics with their intervals, and `objascale` has what else decides the result.
`bench.submit` makes such files, and `bench.leaderboard` makes a table of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bench.run_file import ResultsError
from bench.seen import Seen
from objascale.validation import describe_errors, in_one_line, parse_json

MAX_BYTES = 1_000_000  # of a file; a submission has a few thousand

_Name = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f<>|`\\\[\]]{1,200}$")]
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Sha256List = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}(,[0-9a-f]{64}){0,99}$")]
_Share = Annotated[float, Field(ge=0, le=1)]


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class Spread(_Read):
    """The sample behind a metric, and its 95 % interval, which is None for too few clusters."""

    low: _Share | None = None
    high: _Share | None = None
    n: int = Field(ge=1)
    clusters: int = Field(ge=1)


class Metric(_Read):
    """A mean over objects from 0 to 1, by `type`: mean_iou, mean_iou_s, mean_iou_m, mean_iou_l, mean_boundary_iou."""

    type: _Name
    value: _Share
    args: Spread


class Extent(_Read):
    """What was measured of a benchmark. `version` is None for a data set without versions."""

    version: _Name | None = None
    images: int = Field(ge=1)
    objects: int = Field(ge=1)


class Benchmark(_Read):
    """The data set. `revision` is its `bench.submit.data_sha256`."""

    name: _Name
    revision: _Sha256
    args: Extent


class _Result(_Read):
    dataset: Benchmark
    metrics: list[Metric] = Field(min_length=1)


class _Indexed(_Read):
    name: _Name
    results: list[_Result] = Field(min_length=1, max_length=1)


class Facts(_Read):
    """What decides a result besides the data set.

    Attributes:
        suite: Version of objascale-suite.
        created: Time of the run.
        weights_sha256: SHA-256 of each file of weights, joined by commas; None for a method without weights.
        settings: Settings of the model.
        prompt: Kind of prompt that the model got.
        prompt_source: See `bench.prompts`.
        noise: Noise of the prompts.
        exif: See `EncodedImage.decode`.
        ignore_band: Whether the scores leave uncertain pixels out.
        seen_in_training: The worst of all objects, see `bench.seen`.
        errors: Number of objects with an error. They count with IoU 0.
    """

    suite: _Name
    created: AwareDatetime
    weights_sha256: _Sha256List | None = None
    settings: dict[str, Any]
    prompt: _Name
    prompt_source: _Name
    noise: float = Field(ge=0)
    exif: _Name
    ignore_band: bool
    seen_in_training: Seen
    errors: int = Field(ge=0)


class Submission(_Read):
    """A submission that has been read and checked."""

    index: list[_Indexed] = Field(alias="model-index", min_length=1, max_length=1)
    facts: Facts = Field(alias="objascale")

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.index[0].name

    @property
    def benchmark(self) -> Benchmark:
        """The data set."""
        return self.index[0].results[0].dataset

    @property
    def metrics(self) -> dict[str, Metric]:
        """The metrics by type."""
        return {metric.type: metric for metric in self.index[0].results[0].metrics}

    @classmethod
    def read(cls, path: Path) -> Submission:
        """Read a file of `bench submit`. Raises ResultsError if it is missing or no submission."""
        try:
            if path.stat().st_size > MAX_BYTES:
                raise ResultsError(
                    f"{path} has more than {MAX_BYTES:,} bytes, so it is no submission of `bench submit`"
                )
            found = cls.model_validate(parse_json(path.read_text("utf-8")))
        except OSError as error:
            raise ResultsError(f"{path} cannot be read ({error.strerror}); give files of `bench submit`") from error
        except ValidationError as error:
            raise ResultsError(
                f"{path} is no submission ({describe_errors(error)}); make one with `bench submit`"
            ) from None
        except ValueError as error:
            raise ResultsError(
                f"{path} is no submission ({in_one_line(error)}); make one with `bench submit`"
            ) from error
        if "mean_iou" not in found.metrics:
            raise ResultsError(f"{path} is no submission (it has no mean_iou); make one with `bench submit`")
        return found
