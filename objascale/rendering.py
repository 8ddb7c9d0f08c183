"""Rendering of a plan into a dataset. An unfinished dataset is continued."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from objascale.benchmarks import Benchmark, mark, refuse_another
from objascale.dataset import DatasetWriter
from objascale.engine import Worker, WorkerLost, run
from objascale.engine.messages import Refused, Rendered, Reply, Request
from objascale.picture_kind import true_suffix
from objascale.plan import MAX_CATEGORY_ATTEMPTS, Plan, save_plan
from objascale.progress import Pace, show_progress
from objascale.records import RenderRequest, render_request
from objascale.refusal import LASTING_REASONS
from objascale.sources import Asset
from objascale.sources.folder import LDR_MAP_SUFFIXES
from objascale.spec import SceneSpec, spec_id

ATTEMPTS_PER_SLOT = 2 * MAX_CATEGORY_ATTEMPTS
_OF_OBJECT = ("status", "kind", "reason", "message", "object_sha256")
"""Fields of a failed record that are equal in all records of one refused object."""
PROGRESS_EVERY = 60.0  # seconds between progress lines in the journal; a choice


@dataclass
class SlotOutcome:
    """Outcome of one slot.

    Attributes:
        slot: The slot.
        records: A journal record for each attempt. The last one is `done`, unless every attempt failed.
    """

    slot: int
    records: list[dict[str, Any]] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether the slot has its picture."""
        return bool(self.records) and self.records[-1]["status"] == "done"


@dataclass(frozen=True)
class Rendering:
    """A run that renders a dataset or one shard of it.

    Attributes:
        plan: The plan.
        dataset: The dataset.
        shard: (i, n) for the i-th of n shards: the slots i − 1, i − 1 + n, and so on.
        depth: Whether each picture gets a depth map.
        benchmark: The benchmark that the plan belongs to, if any.
    """

    plan: Plan
    dataset: DatasetWriter
    shard: tuple[int, int] = (1, 1)
    depth: bool = False
    benchmark: Benchmark | None = None
    _refused: dict[str, dict[str, Any]] = field(default_factory=dict, init=False)  # by the object's SHA-256

    @property
    def size(self) -> int:
        """Number of images in this shard."""
        return len(range(self.shard[0] - 1, self.plan.n, self.shard[1]))

    def begin(self) -> list[int]:
        """Open the dataset and return the slots without an image, sorted by map. Raises DatasetError.

        A worker loads a map once for consecutive slots.
        """
        refuse_another(self.benchmark, self.dataset.folder)
        self.dataset.open(describe_plan(self.plan, self.depth))
        if self.benchmark is not None:
            mark(self.benchmark, self.dataset.folder)
        save_plan(self.plan, self.dataset.folder / "plan.json")
        specs = [self.plan.draw(slot) for slot in range(self.plan.n)]
        self.dataset.write_plan(spec.to_json() for spec in specs)
        number, count = self.shard
        finished = {record["slot"] for record in self.dataset.records() if record["status"] == "done"}
        missing = [slot for slot in range(number - 1, self.plan.n, count) if slot not in finished]
        return sorted(missing, key=lambda slot: (specs[slot].map_id, slot))

    def work(self, slots: Sequence[int], workers: Sequence[Worker], pace: Pace) -> Iterator[SlotOutcome]:
        """Render slots.

        Args:
            slots: The slots.
            workers: The pool.
            pace: Counts the outcomes.

        Yields:
            The outcomes, in the order in which they are ready. Each is in the journal already.
        """
        failed = [record for record in self.dataset.records() if record["status"] == "failed"]
        failures = Counter(record["slot"] for record in failed)
        for record in failed:
            if record.get("kind") in LASTING_REASONS and "object_sha256" in record:
                self._refused[record["object_sha256"]] = {key: record[key] for key in _OF_OBJECT}

        def fill(slot: int, worker: Worker) -> SlotOutcome:
            outcome = SlotOutcome(slot)
            for attempt in range(failures[slot], ATTEMPTS_PER_SLOT):
                spec = self.plan.draw(slot, attempt)
                outcome.records.append(self._attempt(spec, worker))
                if outcome.done:
                    break
            return outcome

        reported = time.monotonic()
        try:
            for outcome in run(slots, fill, workers):
                for record in outcome.records:
                    self.dataset.append(record)
                pace.done += outcome.done
                pace.replaced += sum(record["status"] == "failed" for record in outcome.records)
                if time.monotonic() - reported > PROGRESS_EVERY:
                    reported = time.monotonic()
                    self.dataset.append(pace.record())
                yield outcome
            if slots:
                self.dataset.append(pace.record())
            self.dataset.remove_partial_files()
        finally:
            self.dataset.write_annotations()

    def finish(self, slots: Sequence[int], workers: Sequence[Worker]) -> tuple[Counter[str], list[int]]:
        """Render slots and show the progress.

        Returns:
            The number of refusals by reason, and the slots that stay empty.
        """
        failures: Counter[str] = Counter()
        empty: list[int] = []
        pace = Pace(len(slots))
        with show_progress("rendering") as progress:
            for outcome in self.work(slots, workers, pace):
                failures.update(record["reason"] for record in outcome.records if record["status"] == "failed")
                if not outcome.done:
                    empty.append(outcome.slot)
                progress(f"images, {pace}", pace.done, pace.total)
        return failures, empty

    def _attempt(self, spec: SceneSpec, worker: Worker) -> dict[str, Any]:
        """Render one spec and return its record for the journal.

        An object whose import was refused is not imported again: its further specs fail for the same reason.
        """
        record: dict[str, Any] = {
            "spec_id": spec_id(spec, self.plan.render),
            "slot": spec.slot,
            "attempt": spec.attempt,
        }
        started = time.monotonic()
        names = [item.object_id for item in spec.objects]
        for item in spec.objects:
            if item.sha256 in self._refused:
                return {**record, "seconds": 0.0, **self._refused[item.sha256], "object_ids": names}
        reply = ask_twice(worker, render_request(self.plan, spec, self.dataset.folder, self.depth))
        record["seconds"] = round(time.monotonic() - started, 3)
        if isinstance(reply, Refused):
            failure = self.dataset.failure(reply.kind, reply.message, reply.details)
            if reply.object_sha256:
                failure["object_sha256"] = reply.object_sha256
                self._refused[reply.object_sha256] = failure
            return {**record, **failure, "object_ids": names}
        assert isinstance(reply, Rendered)
        rows = [row.columns() for row in reply.annotations]
        return {**record, "status": "done", "annotations": rows, "spec": spec.to_json()}


def ask_twice(worker: Worker, request: Request) -> Reply:
    """Send a request, and again if the worker dies: another program may have killed it. A hang is refused at once."""
    for _ in range(2):
        try:
            return worker.ask(request)
        except WorkerLost as error:
            lost = error
            if lost.hung:
                break
    return Refused("worker-lost", f"{_assets(request)}: {lost}", lost.output)


def _assets(request: Request) -> str:
    """Names of the object and of the map of a request, for messages."""
    if isinstance(request, RenderRequest):
        return f"{', '.join(item.object_id for item in request.spec.objects)} before {request.spec.map_id}"
    return request.asset.id


def describe_plan(plan: Plan, depth: bool = False) -> dict[str, Any]:
    """Return the description of a plan's dataset, with or without depth maps; see `describe`."""
    settings: dict[str, Any] = {"plan": plan.settings.model_dump(), "render": plan.render.model_dump()}
    if depth:
        settings["depth"] = True
    return describe(settings, plan.objects, plan.maps)


def describe(settings: dict[str, Any], objects: Sequence[Asset], maps: Sequence[Asset]) -> dict[str, Any]:
    """Return the content of a header: fingerprint, versions and credits. Files depend on the fingerprint alone.

    Args:
        settings: Settings that files depend on.
        objects: The objects.
        maps: The environment maps.
    """
    assets = {
        name: {asset.id: asset.sha256[:16] for asset in listed}
        for name, listed in (("objects", objects), ("maps", maps))
    }
    return {
        "fingerprint": settings | assets,
        "versions": versions(),
        "credits": credits((*objects, *maps)),
        **_ldr(maps),
    }


def _ldr(maps: Sequence[Asset]) -> dict[str, list[str]]:
    """Ids of the maps of low dynamic range, if there are any."""
    ids = [each.id for each in maps if true_suffix(each.path) in LDR_MAP_SUFFIXES]
    return {"ldr_maps": ids} if ids else {}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that pixels depend on."""
    packages = ("bpy", "numpy", "opencolorio", "opencv-python-headless", "objascale-suite")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in packages}


def credits(assets: Iterable[Asset]) -> list[dict[str, str]]:
    """Return title, author, licence and address of each asset."""
    return [{key: getattr(asset, key) for key in ("id", "title", "author", "licence", "url")} for asset in assets]
