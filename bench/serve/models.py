"""A thread for each model, which loads it and answers one question at a time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Lock, Thread
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from baselines import registry
from baselines.model import Files, Model
from baselines.segmenter import KeepsEncoding, ModelCard, ModelUnavailable, Options, Prompt, PromptKind, Segmenter
from baselines.threads import limit_threads
from bench.serve.cache import Cache
from bench.serve.drawn import Drawn
from flip.prompts import as_gaussian
from flip.sampling import Sampling
from objascale.masks import RegionMask, as_region_mask
from objascale.validation import in_one_line

ENCODINGS = 8  # per model; one of SAM takes 4 MB
MAX_WAITING = 32  # questions per model, one of each page

State = Literal["waiting", "loading", "ready", "encoding", "predicting", "failed"]
_loading = Lock()  # models are loaded one after the other, because their libraries share settings


class Overtaken(Exception):
    """A newer question of the same page took the place of this one."""


class ModelError(RuntimeError):
    """A model has no answer. The message is for its panel."""


@dataclass(frozen=True)
class Prediction:
    """A model's answer.

    Attributes:
        mask: The predicted mask.
        prompt: The prompt that the model got.
        ms: Milliseconds of the prediction.
        encoding_ms: Milliseconds of encoding the picture; None if it was encoded before, or the model encodes none.
        patches: Boxes of FLIP's patches by size, (n, 4) xyxy; None if they were not asked for, or the model has none.
    """

    mask: RegionMask
    prompt: Prompt
    ms: float
    encoding_ms: float | None = None
    patches: dict[int, NDArray[np.float64]] | None = None


@dataclass(eq=False)
class Question:
    """A question to a model.

    Attributes:
        page: The page that asks. Its next question overtakes this one.
        key: Identifies the picture and its changes.
        pixels: The picture, (H, W, 3) uint8 RGB.
        drawn: The prompt.
        patches: Whether the answer has FLIP's patches.
        answer: The answer, or the error.
        overtaken: Whether a newer question has come.
    """

    page: str
    key: Hashable
    pixels: NDArray[np.uint8]
    drawn: Drawn
    patches: bool = False
    answer: Future[Prediction] = field(default_factory=Future)
    overtaken: bool = False


class Worker:
    """A model in a thread of its own.

    Args:
        model: The model.
        files: Its weights.
        options: Device, precision and number of patches.
    """

    def __init__(self, model: Model, files: Files | None, options: Options) -> None:
        self.model = model
        self.state: State = "waiting"
        self.problem = ""
        self.accepts: Sequence[PromptKind] = model.prompts
        self._files, self._options = files, options
        self._questions: OrderedDict[str, Question] = OrderedDict()
        self._running: Question | None = None
        self._changed = Condition()
        self._encodings: Cache[object] = Cache(ENCODINGS)
        self._encoded: Hashable = None
        self._ends = False
        self._thread = Thread(target=self._run, name=model.name, daemon=True)
        self._thread.start()

    def ask(self, question: Question) -> Future[Prediction]:
        """Queue a question. It overtakes the waiting or running one of the same page, whose answer is Overtaken."""
        with self._changed:
            if self._running and self._running.page == question.page:
                self._running.overtaken = True
            older = self._questions.pop(question.page, None)
            if older is None and len(self._questions) >= MAX_WAITING:
                raise ModelError(f"{self.model.name} has too many questions; ask again later")
            self._questions[question.page] = question
            self._changed.notify()
        if older and older.answer.set_running_or_notify_cancel():
            older.answer.set_exception(Overtaken())
        return question.answer

    def close(self) -> None:
        """End the thread after what it does now. Questions that wait are not answered."""
        with self._changed:
            self._ends = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        segmenter: Segmenter | None = None
        with _loading:
            if self._ends:
                return
            self.state = "loading"
            try:
                limit_threads()
                segmenter = registry.load(self.model, self._files, self._options)
                card = segmenter.describe()
                self.accepts, self.state = segmenter.accepts, "ready"
            except ModelUnavailable as error:
                self.problem, self.state = str(error), "failed"
        while True:
            with self._changed:
                self._running = None
                self._changed.wait_for(lambda: self._questions or self._ends)
                if self._ends:
                    return
                _, question = self._questions.popitem(last=False)
                self._running = question
            if not question.answer.set_running_or_notify_cancel():
                continue
            try:
                if segmenter is None:
                    raise ModelError(self.problem)
                question.answer.set_result(self._answer(segmenter, card, question))
            except (Overtaken, ModelError) as error:
                question.answer.set_exception(error)
            except Exception as error:  # a model may raise anything
                question.answer.set_exception(ModelError(in_one_line(error)))
            finally:
                if segmenter is not None:
                    self.state = "ready"

    def _answer(self, segmenter: Segmenter, card: ModelCard, question: Question) -> Prediction:
        pixels = question.pixels
        height, width = pixels.shape[:2]
        prompt = question.drawn.prompt(segmenter.accepts, (width, height))
        patches = self._patches(card, pixels, prompt) if question.patches else None
        encoding_ms = self._encode(segmenter, question.key, pixels)
        if question.overtaken:
            raise Overtaken
        self.state = "predicting"
        start = time.perf_counter()
        answer = segmenter.predict(prompt)
        ms = 1000 * (time.perf_counter() - start)
        mask = as_region_mask(answer, width, height, f"{type(segmenter).__name__}.predict").tight()
        return Prediction(mask, prompt, ms, encoding_ms, patches)

    def _encode(self, segmenter: Segmenter, key: Hashable, pixels: NDArray[np.uint8]) -> float | None:
        """Set the image of the model. Return the milliseconds, None if nothing was encoded."""
        if self._encoded == key:
            return None
        self._encoded = None
        self.state = "encoding"
        start = time.perf_counter()
        is_kept = key in self._encodings
        if isinstance(segmenter, KeepsEncoding):

            def encode() -> object:
                segmenter.set_image(pixels)
                return segmenter.encoding

            segmenter.encoding = self._encodings.get(key, encode)
        else:
            segmenter.set_image(pixels)
        self._encoded = key
        return None if is_kept or not self.model.encodes_image else 1000 * (time.perf_counter() - start)

    def _patches(
        self, card: ModelCard, pixels: NDArray[np.uint8], prompt: Prompt
    ) -> dict[int, NDArray[np.float64]] | None:
        given = prompt.gaussian or prompt.box
        if not self.model.takes_tokens or given is None:
            return None
        gaussian = as_gaussian(given, pixels.shape[1], pixels.shape[0])
        return Sampling.from_settings(card.settings).patches(pixels, gaussian).boxes()
