"""The setup of a run: names and paths of models, data, prompts and selection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from baselines import registry
from baselines.model import Files, Model
from baselines.segmenter import ModelUnavailable, Options, Segmenter
from baselines.threads import limit_threads
from bench.measurer import Measurer
from bench.prompts import PromptSettings
from bench.selection import Selection
from flip.training_data import TrainingData
from objascale.choices import Exif
from objascale.datasets import Dataset, Sample
from objascale.datasets.formats import open_dataset


@dataclass(frozen=True)
class Setup:
    """Everything that another process needs to measure in the same way.

    Attributes:
        models: The models.
        weights: Absolute paths of the weights of each model; None for a model with random weights.
        options: Options of the models.
        data: Absolute path of the data set.
        format: Format of the data set, a key of `FORMATS`; None to detect it.
        prompts: Prompt settings; each model is measured with each of them.
        selection: The part of the data set.
        tokens: Numbers of patches; models that sample patches are measured with each of them.
        exif: See `EncodedImage.decode`.
        images: Absolute path of the folder of the images; None if `data` says where they are.
        dataset: The data set, if it is opened already; then `data` only names it.
        ignore_band: Whether scores leave out the pixels that blur makes uncertain.
    """

    models: Sequence[Model]
    weights: Mapping[str, Files | None]
    options: Options
    data: Path
    format: str | None
    prompts: Sequence[PromptSettings]
    selection: Selection
    tokens: Sequence[int]
    exif: Exif = "stored"
    images: Path | None = None
    dataset: Dataset | None = None
    ignore_band: bool = False

    def open(self) -> Dataset:
        """Return the data set, opened if it is not yet. Raises DatasetError."""
        dataset = self.dataset or open_dataset(self.data, self.format, self.images)
        return dataset.ignoring_bands() if self.ignore_band else dataset

    def load(self) -> tuple[Measurer, Sequence[Sample]]:
        """Load the models and the index of the data set.

        Returns:
            The measurer and the selected images.

        Raises:
            DatasetError: The data set cannot be opened.
            ModelUnavailable: No model can be loaded.
        """
        dataset = self.open()
        return self.measurer(dataset), self.selection.samples(dataset)

    def measurer(self, dataset: Dataset) -> Measurer:
        """Load the models. Raises ModelUnavailable if that fails for all of them."""
        segmenters, unavailable = self.segmenters()
        return Measurer(dataset, segmenters, self.prompts, self.selection, self.learned(), self.exif, unavailable)

    def learned(self) -> dict[str, TrainingData]:
        """Return the training data of each model by name. A model whose record is damaged is left out."""
        found = {}
        for model in self.models:
            with suppress(ModelUnavailable):
                found[model.name] = registry.learned_from(model, self.weights[model.name])
        return found

    def segmenters(self) -> tuple[list[Segmenter], dict[str, str]]:
        """Load the models and limit their threads to the number of cores.

        Returns:
            The models that can be loaded, and by name why others cannot. A model whose record of training data is
            damaged is one of the others, because nobody knows what it has seen.

        Raises:
            ModelUnavailable: No model can be loaded. The error has a line per model.
        """
        limit_threads()
        segmenters: list[Segmenter] = []
        unavailable: dict[str, str] = {}
        for model in self.models:
            try:
                registry.learned_from(model, self.weights[model.name])
                segmenters += [
                    registry.load(model, self.weights[model.name], replace(self.options, tokens=tokens))
                    for tokens in (self.tokens if model.takes_tokens else [self.options.tokens])
                ]
            except ModelUnavailable as error:
                unavailable[model.name] = str(error)
        if not segmenters:
            raise ModelUnavailable("\n".join(unavailable.values()))
        return segmenters, unavailable
