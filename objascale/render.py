"""A plan rendered into a dataset: slots to workers, answers to the journal, and on where it stopped."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from objascale.dataset import Dataset
from objascale.engine import Worker, WorkerLost, run
from objascale.engine.messages import Refused, Rendered, Reply, Request
from objascale.plan import MAX_CATEGORY_ATTEMPTS, Plan, SceneSpec, save_plan, spec_id
from objascale.progress import Pace
from objascale.records import RenderRequest, render_request
from objascale.sources import Asset
from objascale.sources.folder import LDR_MAP_SUFFIXES

ATTEMPTS_PER_SLOT = 2 * MAX_CATEGORY_ATTEMPTS
PROGRESS_EVERY = 60.0  # seconds between progress lines in the journal


@dataclass
class Outcome:
    """What became of one slot: its journal records, the last one `done` unless every attempt failed."""

    slot: int
    records: list[dict[str, Any]] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return bool(self.records) and self.records[-1]["status"] == "done"


@dataclass(frozen=True)
class Rendering:
    """One dataset, or one shard of it, in the making."""

    plan: Plan
    dataset: Dataset
    shard: tuple[int, int] = (1, 1)  # the i-th of n: the slots i − 1, i − 1 + n, …

    @property
    def size(self) -> int:
        """Images that this shard has when it is finished."""
        return len(range(self.shard[0] - 1, self.plan.n, self.shard[1]))

    def begin(self) -> list[int]:
        """Open the dataset and return the slots that are still to be rendered, those before the same map together."""
        self.dataset.open(describe(self.plan))
        save_plan(self.plan, self.dataset.folder / "plan.json")
        specs = [self.plan.draw(slot) for slot in range(self.plan.n)]
        self.dataset.write_plan(map(asdict, specs))
        number, count = self.shard
        finished = {record["slot"] for record in self.dataset.records() if record["status"] == "done"}
        missing = [slot for slot in range(number - 1, self.plan.n, count) if slot not in finished]
        return sorted(missing, key=lambda slot: (specs[slot].map_id, slot))

    def work(self, slots: Sequence[int], workers: Sequence[Worker], pace: Pace) -> Iterator[Outcome]:
        """Render the slots; each outcome is in the journal, and counted, before it is yielded."""
        failures = Counter(record["slot"] for record in self.dataset.records() if record["status"] == "failed")

        def fill(slot: int, worker: Worker) -> Outcome:
            outcome = Outcome(slot)
            for attempt in range(failures[slot], ATTEMPTS_PER_SLOT):
                spec = self.plan.draw(slot, attempt)
                outcome.records.append(self._attempt(spec, worker))
                if outcome.done:
                    break
            return outcome

        noted = time.monotonic()
        try:
            for outcome in run(slots, fill, workers):
                for record in outcome.records:
                    self.dataset.append(record)
                pace.done += outcome.done
                pace.replaced += sum(record["status"] == "failed" for record in outcome.records)
                if time.monotonic() - noted > PROGRESS_EVERY:
                    noted = time.monotonic()
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
        rows = [asdict(row) for row in reply.annotations]
        return {**record, "status": "done", "annotations": rows, "spec": asdict(spec)}


def ask_twice(worker: Worker, request: Request) -> Reply:
    """Send a request, once more if the worker dies: another program may have killed it. A hang is refused at once."""
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


def describe(plan: Plan) -> dict[str, Any]:
    """dataset.json but for its schema."""
    settings = {"plan": plan.settings.model_dump(), "render": plan.render.model_dump()}
    return described(settings, plan.objects, plan.maps)


def described(settings: dict[str, Any], objects: Sequence[Asset], maps: Sequence[Asset]) -> dict[str, Any]:
    """The fingerprint, which is all that pixels depend on, versions, and credits."""
    assets = {
        name: {each.id: each.sha256[:16] for each in some} for name, some in (("objects", objects), ("maps", maps))
    }
    return {
        "fingerprint": settings | assets,
        "versions": versions(),
        "credits": credits((*objects, *maps)),
        **_ldr(maps),
    }


def _ldr(maps: Sequence[Asset]) -> dict[str, list[str]]:
    """Ids of the maps of low dynamic range, if there are any."""
    ids = [each.id for each in maps if each.path.suffix.lower() in LDR_MAP_SUFFIXES]
    return {"ldr_maps": ids} if ids else {}


def versions() -> dict[str, str]:
    """Of Python and of the packages that pixels depend on."""
    packages = ("bpy", "numpy", "opencolorio", "opencv-python-headless", "objascale-suite")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in packages}


def credits(assets: Iterable[Asset]) -> list[dict[str, str]]:
    """Whom to thank for each asset."""
    return [{key: getattr(asset, key) for key in ("id", "title", "author", "licence", "url")} for asset in assets]
