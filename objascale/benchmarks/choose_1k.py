"""Choice of the objects and maps of objascale-1k-v1.

    python -m objascale.benchmarks.choose_1k lvis-annotations.json > objascale/benchmarks/objascale-1k-v1.json

Its settings are those of objascale-mini-v1. The objects are those of Objaverse 1.0 (Deitke et al. 2022, ODC-By 1.0): of
each of the 68 categories, the first 15 candidates that have an accepted licence and can be fetched. The candidates are
fixed here, in the order in which `objascale.sources.objaverse` would try them with the seed 1.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from objascale.benchmarks import BENCHMARK_SCHEMA, load_benchmark
from objascale.data.choose_categories import NUM_CATEGORIES
from objascale.sources.objaverse import DEFAULT_LICENCES, candidates_of, default_categories

N, PER_CATEGORY, SEED = 1000, 15, 1
MAX_CANDIDATES = 60
"""Candidates of a category: four times the objects, because many have other licences."""

MAPS = (
    *("adams_place_bridge", "alps_field", "autoshop_01", "autumn_forest_04", "belfast_sunset", "blaubeuren_night"),
    *("cape_hill", "clarens_midday", "courtyard", "dancing_hall", "dikhololo_night", "empty_warehouse_01"),
    *("evening_meadow", "forest_grove", "forest_slope", "gamrig", "hilly_terrain_01", "hotel_room", "kiara_1_dawn"),
    *("leadenhall_market", "lebombo", "moonless_golf", "neuer_zollhof", "ninomaru_teien", "parking_garage"),
    *("portland_landing_pad", "potsdamer_platz", "rogland_clear_night", "rooftop_night", "rooitou_park"),
    *("shanghai_bund", "signal_hill_sunrise", "spruit_sunrise", "st_fagans_interior", "studio_small_03"),
    *("studio_small_09", "ulmer_muenster", "urban_street_01", "venice_sunset", "wide_street_01"),
)
"""Maps of Poly Haven, CC0: day and night, streets, nature, halls and studios."""


def main() -> None:
    table = json.loads(Path(sys.argv[1]).read_text())
    categories = default_categories(NUM_CATEGORIES)
    mini = load_benchmark("objascale-mini-v1").content
    candidates = {name: uids[:MAX_CANDIDATES] for name, uids in candidates_of(table, categories, SEED).items()}
    content = {
        "schema": BENCHMARK_SCHEMA,
        "name": "objascale-1k-v1",
        "about": f"{N} pictures of objects of Objaverse before maps of Poly Haven, with the settings of {mini.name}.",
        "n": N,
        "request": {
            "source": "objaverse",
            "categories": categories,
            "per_category": PER_CATEGORY,
            "licenses": sorted(DEFAULT_LICENCES),
            "seed": SEED,
            "hdris": "polyhaven",
            "hdri_res": "4k",
        },
        "plan": mini.plan.model_dump(),
        "render": mini.render.model_dump(),
        "objects": {},
        "maps": dict.fromkeys(MAPS, ""),
        "candidates": candidates,
        "pictures": [],
    }
    json.dump(content, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
