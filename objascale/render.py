"""A plan rendered into a dataset: slots to workers, answers to the journal, and on where it stopped."""

from __future__ import annotations

import importlib.metadata
import platform
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from objascale.dataset import Dataset, image_file
from objascale.engine.local import EngineSettings, Worker, WorkerLost, run
from objascale.plan import Plan, RenderSettings, SceneSpec, spec_id
from objascale.sources import Asset

ATTEMPTS_PER_SLOT = 12


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
    """One dataset in the making."""

    plan: Plan
    settings: RenderSettings
    dataset: Dataset
    source: str

    def begin(self, n: int) -> list[int]:
        """Open the dataset and return the slots below `n` that are still to be rendered."""
        self.dataset.open(self._description())
        finished = {record["slot"] for record in self.dataset.records() if record["status"] == "done"}
        self.dataset.write_plan(asdict(self.plan.draw(slot)) for slot in range(n))
        return [slot for slot in range(n) if slot not in finished]

    def work(self, slots: list[int], engine: EngineSettings) -> Iterator[Outcome]:
        """Render the slots; each outcome is in the journal before it is yielded."""
        failures = Counter(record["slot"] for record in self.dataset.records() if record["status"] == "failed")
        paths = {asset.id: asset for asset in (*self.plan.objects, *self.plan.maps)}

        def fill(slot: int, worker: Worker) -> Outcome:
            outcome = Outcome(slot)
            for attempt in range(failures[slot], ATTEMPTS_PER_SLOT):
                spec = self.plan.draw(slot, attempt)
                outcome.records.append(self._attempt(spec, paths, worker))
                if outcome.done:
                    break
            return outcome

        try:
            for outcome in run(slots, fill, engine):
                for record in outcome.records:
                    self.dataset.append(record)
                yield outcome
        finally:
            self.dataset.write_annotations()

    def _attempt(self, spec: SceneSpec, assets: dict[str, Asset], worker: Worker) -> dict[str, Any]:
        thing, environment = assets[spec.object_id], assets[spec.map_id]
        file = image_file(spec.slot, self.settings.format)
        identity = spec_id(spec, self.settings)
        record = {"spec_id": identity, "slot": spec.slot, "attempt": spec.attempt}
        try:
            reply = worker.ask(
                {
                    "spec": asdict(spec),
                    "settings": self.settings.model_dump(),
                    "object": str(thing.path),
                    "map": str(environment.path),
                    "image": str(self.dataset.folder / file),
                }
            )
        except WorkerLost as error:
            reply = {"refused": "worker-lost", "message": str(error)}
        if "refused" in reply:
            failure = {"reason": reply["refused"], "message": reply["message"], "object_id": spec.object_id}
            return {**record, "status": "failed", **failure}
        annotation = {
            "object_id": spec.slot,
            "image_id": spec.slot,
            "file": file,
            "category": spec.category,
            "asset_id": spec.object_id,
            "hdri_id": spec.map_id,
            "target_fraction": spec.target_fraction,
            "title": thing.title,
            "author": thing.author,
            "licence": thing.licence,
            "url": thing.url,
            "spec_id": identity,
            "seed": spec.seed,
            **reply["annotation"],
        }
        return {**record, "status": "done", "annotation": annotation, "spec": asdict(spec)}

    def _description(self) -> dict[str, Any]:
        packages = ("bpy", "numpy", "opencolorio", "opencv-python-headless", "objascale-suite")
        return {
            "fingerprint": {
                "source": self.source,
                "plan": self.plan.settings.model_dump(),
                "render": self.settings.model_dump(),
                "objects": {asset.id: asset.sha256[:16] for asset in self.plan.objects},
                "maps": {asset.id: asset.sha256[:16] for asset in self.plan.maps},
            },
            "versions": {"python": platform.python_version()}
            | {name: importlib.metadata.version(name) for name in packages},
            "credits": [
                {key: getattr(asset, key) for key in ("id", "title", "author", "licence", "url")}
                for asset in (*self.plan.objects, *self.plan.maps)
            ],
        }
