"""How categories.csv was chosen; the authors of ObjaScale published no list, so this one is ours.

    python -m objascale.data.choose_categories lvis-annotations.json > objascale/data/categories.csv

The rule, over the LVIS table of Objaverse 1.0 (category → object ids):

1. Candidates are the 80 classes of COCO, which were picked for being everyday things with everyday names.
2. Each under the name that LVIS has for it. Where LVIS has only kinds of it (balls), the kind with the most objects
   stands for it; where it has but a part (the pot of the plant), the part does; else the class falls out.
3. The 68 with the most distinct objects, in alphabetical order; among equals the alphabet decides. (The least has 21,
   and what falls out has fewer than 20.)
"""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path

COUNT = 68

COCO = (
    "person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant stop_sign parking_meter "
    "bench bird cat dog horse sheep cow elephant bear zebra giraffe backpack umbrella handbag tie suitcase frisbee "
    "skis snowboard sports_ball kite baseball_bat baseball_glove skateboard surfboard tennis_racket bottle wine_glass "
    "cup fork knife spoon bowl banana apple sandwich orange broccoli carrot hot_dog pizza donut cake chair couch "
    "potted_plant bed dining_table toilet tv laptop mouse remote keyboard cell_phone microwave oven toaster sink "
    "refrigerator book clock vase scissors teddy_bear hair_drier toothbrush"
)
"""The classes of COCO, in its order."""

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
    """A chosen category: LVIS's name, COCO's name, and how many distinct objects Objaverse has of it."""

    category: str
    coco: str
    objects: int


def choose(lvis: dict[str, list[str]]) -> list[Category]:
    """The rule above, applied to the LVIS table."""
    candidates = [
        Category(name, coco, len(set(lvis[name])))
        for coco in COCO.split()
        for name in [LVIS_NAMES.get(coco, coco)]
        if name in lvis
    ]
    candidates.sort(key=lambda candidate: (-candidate.objects, candidate.category))
    return sorted(candidates[:COUNT], key=lambda candidate: candidate.category)


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
