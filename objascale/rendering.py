"""Rendering of a plan into a dataset. An unfinished dataset is continued."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from objascale.dataset import DatasetWriter
from objascale.engine import Worker, WorkerLost, run
from objascale.engine.messages import Refused, Rendered, Reply, Request
from objascale.picture_kind import true_suffix
from objascale.plan import MAX_CATEGORY_ATTEMPTS, Plan, SceneSpec, save_plan, spec_id
from objascale.progress import Pace
from objascale.records import RenderRequest, render_request
from objascale.sources import Asset
from objascale.sources.folder import LDR_MAP_SUFFIXES

ATTEMPTS_PER_SLOT = 2 * MAX_CATEGORY_ATTEMPTS
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
    """

    plan: Plan
    dataset: DatasetWriter
    shard: tuple[int, int] = (1, 1)

    @property
    def size(self) -> int:
        """Number of images in this shard."""
        return len(range(self.shard[0] - 1, self.plan.n, self.shard[1]))

    def begin(self) -> list[int]:
        """Open the dataset and return the slots without an image, sorted by map. Raises DatasetError.

        A worker loads a map once for consecutive slots.
        """
        self.dataset.open(describe_plan(self.plan))
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
        failures = Counter(record["slot"] for record in self.dataset.records() if record["status"] == "failed")

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
        finally:
            self.dataset.write_annotations()

    def _attempt(self, spec: SceneSpec, worker: Worker) -> dict[str, Any]:
        """Render one spec and return its record for the journal."""
        record: dict[str, Any] = {
            "spec_id": spec_id(spec, self.plan.render),
            "slot": spec.slot,
            "attempt": spec.attempt,
        }
        started = time.monotonic()
        names = [item.object_id for item in spec.objects]
        reply = ask_twice(worker, render_request(self.plan, spec, self.dataset.folder))
        record["seconds"] = round(time.monotonic() - started, 3)
        if isinstance(reply, Refused):
            failure = self.dataset.failure(reply.kind, reply.message, reply.details)
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


def describe_plan(plan: Plan) -> dict[str, Any]:
    """Return the description of a plan's dataset; see `describe`."""
    settings = {"plan": plan.settings.model_dump(), "render": plan.render.model_dump()}
    return describe(settings, plan.objects, plan.maps)


def describe(settings: dict[str, Any], objects: Sequence[Asset], maps: Sequence[Asset]) -> dict[str, Any]:
    """Return the content of a header: fingerprint, versions and credits. Pixels depend on the fingerprint alone.

    Args:
        settings: Settings that pixels depend on.
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
