"""Choice of the categories in categories.csv. The authors of ObjaScale published no list; this one is our own.

    python -m objascale.data.choose_categories lvis-annotations.json > objascale/data/categories.csv

The rule, for the LVIS table of Objaverse 1.0 (category → object ids):

1. The candidates are the 80 classes of COCO: everyday things with everyday names.
2. Each takes its LVIS name. If LVIS has only kinds of it (balls), the kind with the most objects replaces it. If LVIS
   has only a part of it (the pot of the plant), the part replaces it. Otherwise the class is dropped.
3. The 68 candidates with the most distinct objects are chosen, the first in the alphabet among equals. The smallest has
   21 objects; those not chosen have fewer than 20.
"""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path

NUM_CATEGORIES = 68  # paper, section 4.1

COCO = (
    "person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant stop_sign parking_meter "
    "bench bird cat dog horse sheep cow elephant bear zebra giraffe backpack umbrella handbag tie suitcase frisbee "
    "skis snowboard sports_ball kite baseball_bat baseball_glove skateboard surfboard tennis_racket bottle wine_glass "
    "cup fork knife spoon bowl banana apple sandwich orange broccoli carrot hot_dog pizza donut cake chair couch "
    "potted_plant bed dining_table toilet tv laptop mouse remote keyboard cell_phone microwave oven toaster sink "
    "refrigerator book clock vase scissors teddy_bear hair_drier toothbrush"
)
"""The classes of COCO, in COCO's order."""

LVIS_NAMES = {
    "car": "car_(automobile)",
    "bus": "bus_(vehicle)",
    "train": "train_(railroad_vehicle)",
    "fire_hydrant": "fireplug",
    "tie": "necktie",
    "skis": "ski",
    "sports_ball": "soccer_ball",  # a kind
    "wine_glass": "wineglass",
    "orange": "orange_(fruit)",
    "donut": "doughnut",
    "couch": "sofa",
    "potted_plant": "flowerpot",  # a part
    "tv": "television_set",
    "laptop": "laptop_computer",
    "mouse": "mouse_(computer_equipment)",
    "remote": "remote_control",
    "keyboard": "computer_keyboard",
    "cell_phone": "cellular_telephone",
    "microwave": "microwave_oven",
    "hair_drier": "hair_dryer",
}


@dataclass(frozen=True)
class Category:
    """A category: its LVIS name, its COCO name, and the number of its distinct objects in Objaverse."""

    category: str
    coco: str
    objects: int


def choose(lvis: dict[str, list[str]]) -> list[Category]:
    """Apply the rule to the LVIS table (category → object ids)."""
    candidates = [
        Category(name, coco, len(set(lvis[name])))
        for coco in COCO.split()
        for name in [LVIS_NAMES.get(coco, coco)]
        if name in lvis
    ]
    candidates.sort(key=lambda candidate: (-candidate.objects, candidate.category))
    return sorted(candidates[:NUM_CATEGORIES], key=lambda candidate: candidate.category)


def main() -> None:
    """Print the CSV."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        sys.exit("usage: python -m objascale.data.choose_categories lvis-annotations.json")
    chosen = choose(json.loads(Path(sys.argv[1]).read_text()))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("category", "coco", "objects"))
    writer.writerows((one.category, one.coco, one.objects) for one in chosen)


if __name__ == "__main__":
    main()
