"""What a run needs: models, data, prompts and selection by name, before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from baselines import registry
from baselines.segmenter import Options, Segmenter
from baselines.threads import limit_threads
from bench.prompts import PromptSettings
from bench.runner import Measurer
from bench.selection import Selection
from flip.training_data import TrainingData
from objascale.datasets import Dataset, Exif, Sample
from objascale.datasets.formats import open_dataset


@dataclass(frozen=True)
class Setup:
    """All that another process needs to know to measure as this one: names and absolute paths.

    `weights`: each model's files, None for a model that runs on random ones. `tokens`: numbers of patches; a model that
    looks at patches is measured with each of them. `exif`: as for `EncodedImage.decode`.
    """

    weights: Mapping[str, registry.Files | None]
    options: Options
    data: Path
    format: str | None
    prompts: Sequence[PromptSettings]
    selection: Selection
    tokens: Sequence[int]
    exif: Exif = "stored"

    def load(self) -> tuple[Measurer, Sequence[Sample]]:
        """The models, on this machine, and the images of the run. Raises DatasetError, ModelUnavailable."""
        dataset = open_dataset(self.data, self.format)
        return self.measurer(dataset), self.selection.samples(dataset)

    def measurer(self, dataset: Dataset) -> Measurer:
        """The models, on this machine. Raises ModelUnavailable."""
        return Measurer(dataset, self.segmenters(), self.prompts, self.selection, self.learned(), self.exif)

    def learned(self) -> dict[str, TrainingData]:
        """What each model learned from, by its name. Raises ModelUnavailable if the record of one is damaged."""
        models = registry.find_models(list(self.weights))
        return {model.name: registry.learned_from(model, self.weights[model.name]) for model in models}

    def segmenters(self) -> list[Segmenter]:
        """The models, on no more threads than there are cores. Raises ModelUnavailable."""
        limit_threads()
        return [
            registry.load(model, self.weights[model.name], replace(self.options, tokens=tokens))
            for model in registry.find_models(list(self.weights))
            for tokens in (self.tokens if model.takes_tokens else [self.options.tokens])
        ]
