"""Public data sets that `bench run` opens: where they are, and how to get them.

Facts are the publishers' own, from the address of each row or the source that the row names. Facts that a publisher
does not state are missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from objascale.benchmarks import names
from objascale.dataset import DatasetError
from objascale.datasets.formats import FORMATS

NOT_STATED = "not stated"


class UnknownDataset(DatasetError):
    """The catalogue has no data set of this name."""


@dataclass(frozen=True)
class PublicDataset:
    """A public data set.

    Attributes:
        name: The name, and the name of its folder.
        content: What it shows, with numbers of images and objects.
        address: Address of the publisher's page, without https://.
        licence: Name of the licence, or what the publisher says about use.
        size: Size of the download.
        layout: The files below its folder, in one line.
        format: Format, a key of `FORMATS`.
        steps: How to get it. `{folder}` is its folder.
        data: Path of --data below its folder; "" for the folder itself.
        images: Path of --images below its folder; "" if the option is not needed.
    """

    name: str
    content: str
    address: str
    licence: str
    size: str
    layout: str
    format: str
    steps: tuple[str, ...]
    data: str = ""
    images: str = ""

    def path(self, root: Path) -> Path:
        """Return the path of --data if the data set lies in `root`."""
        return root / self.name / self.data if self.data else root / self.name

    def is_here(self, root: Path) -> bool:
        """Return whether `path` holds files in the format of the data set."""
        path = self.path(root)
        try:
            return path.exists() and FORMATS[self.format].recognises(path)
        except OSError:
            return False

    def command(self, root: Path) -> str:
        """Return the command that measures two models on the data set in `root`."""
        images = f" --images {root / self.name / self.images}" if self.images else ""
        return run_command(self.name, f"{self.path(root)}{images}")


_FBRS = "github.com/saic-vul/fbrs_interactive_segmentation/releases/download/v1.0"
_RITM = "github.com/SamsungLabs/ritm_interactive_segmentation"
_THIN = "github.com/liewjunhao/thin-object-selection"
_THIN_STEPS = (
    f"git clone https://{_THIN} and run data/download_dataset.sh in it (needs gdown), which fetches COIFT, HRSOD and "
    "ThinObject-5K",
)


def _of_ritm(name: str, content: str, archive: str, size: str, images: str, masks: str) -> PublicDataset:
    """Return a test set of interactive segmentation, as the authors of f-BRS and RITM offer it."""
    return PublicDataset(
        name,
        content,
        _RITM,
        NOT_STATED,
        size,
        f"{images}/, {masks}/",
        "masks",
        (
            f"fetch https://{_FBRS}/{archive}",
            f"unzip it, and move the folder with {images}/ and {masks}/ to {{folder}}",
        ),
    )


CATALOGUE = {
    each.name: each
    for each in (
        _of_ritm("grabcut", "50 photographs, one object each", "GrabCut.zip", "11 MB", "data_GT", "boundary_GT"),
        _of_ritm("berkeley", "96 photographs, 100 objects", "Berkeley.zip", "7 MB", "images", "masks"),
        _of_ritm("davis-frames", "345 frames of DAVIS, one object each", "DAVIS.zip", "43 MB", "img", "gt"),
        _of_ritm("coco-mval", "800 objects of COCO", "COCO_MVal.zip", "127 MB", "img", "gt"),
        PublicDataset(
            "davis",
            "videos at 480p, several objects each",
            "davischallenge.org",
            NOT_STATED,
            "0.8 GB",
            "JPEGImages/480p/VIDEO/00000.jpg, Annotations/480p/VIDEO/00000.png (an index for each object)",
            "masks",
            (
                "fetch https://data.vision.ee.ethz.ch/csergi/share/davis/DAVIS-2017-trainval-480p.zip",
                "unzip it, and move its folder DAVIS to {folder}",
            ),
        ),
        PublicDataset(
            "hrsod",
            "high-resolution photographs of salient objects, as the authors of ThinObject-5K offer them",
            _THIN,
            "CC BY-NC 4.0 (the repository)",
            NOT_STATED,
            "images/, masks/",
            "masks",
            (
                *_THIN_STEPS,
                "move its folder HRSOD to {folder}; https://github.com/yi94code/HRSOD has the original",
            ),
        ),
        PublicDataset(
            "dis5k",
            "5,470 photographs of 2K, 4K or more with finely annotated objects",
            "xuebinqin.github.io/dis",
            "DIS5K's terms of use (in github.com/xuebinqin/DIS)",
            NOT_STATED,
            "DIS-VD/im/, DIS-VD/gt/; likewise DIS-TR and DIS-TE1 to DIS-TE4",
            "masks",
            (
                "accept the terms at https://xuebinqin.github.io/dis and download DIS5K",
                "unpack it to {folder}, so that {folder}/DIS-VD holds im/ and gt/",
            ),
            data="DIS-VD",
        ),
        PublicDataset(
            "thinobject5k",
            "composed pictures of objects with thin parts",
            _THIN,
            "CC BY-NC 4.0 (the repository)",
            NOT_STATED,
            "images/, masks/, list/",
            "masks",
            (*_THIN_STEPS, "move its folder ThinObject5K to {folder}"),
        ),
        PublicDataset(
            "isaid",
            "2,806 aerial images, 655,451 objects of 15 classes, most of them small",
            "captain-whu.github.io/iSAID",
            "academic purposes only (DOTA's images)",
            "validation: 3.3 GB of images, 53 MB of annotations",
            "val/Annotations/iSAID_val.json (COCO's format), val/images/P0003.png",
            "coco",
            (
                "download the annotations of iSAID (https://captain-whu.github.io/iSAID) and the images of DOTA-v1.0 "
                "(https://captain-whu.github.io/DOTA)",
                "put iSAID_val.json into {folder}/val/Annotations and DOTA's validation images into "
                "{folder}/val/images; the pictures of instances are not needed",
            ),
            data="val/Annotations/iSAID_val.json",
            images="val/images",
        ),
        PublicDataset(
            "coco",
            "val2017: 5,000 photographs, objects of 80 classes",
            "cocodataset.org",
            "annotations CC BY 4.0, each image its own Flickr licence",
            "val2017: 1 GB",
            "annotations/instances_val2017.json, val2017/000000000139.jpg",
            "coco",
            (
                "fetch http://images.cocodataset.org/zips/val2017.zip and "
                "http://images.cocodataset.org/annotations/annotations_trainval2017.zip",
                "unzip both in {folder}",
            ),
            data="annotations/instances_val2017.json",
        ),
        PublicDataset(
            "lvis",
            "COCO's photographs, objects of more classes",
            "lvisdataset.org",
            "annotations CC BY 4.0, each image its own Flickr licence",
            NOT_STATED,
            "lvis_v1_val.json, train2017/, val2017/",
            "coco",
            (
                "download lvis_v1_val.json from https://www.lvisdataset.org into {folder}",
                "put COCO's folders val2017 and train2017 there too, or links to them",
            ),
            data="lvis_v1_val.json",
        ),
        PublicDataset(
            "sa1b",
            "11 million photographs with masks of objects and parts",
            "ai.meta.com/datasets/segment-anything-downloads",
            "SA-1B Dataset Research License",
            NOT_STATED,
            "sa_000000/sa_1.jpg, sa_000000/sa_1.json",
            "sa1b",
            (
                "accept the licence at https://ai.meta.com/datasets/segment-anything-downloads and download an archive",
                "unpack it to {folder}/sa_000000; more archives go beside it",
            ),
        ),
        PublicDataset(
            "openimages",
            "photographs with masks of objects; train, validation and test",
            "storage.googleapis.com/openimages/web/download_v7.html",
            "annotations CC BY 4.0, images listed as CC BY 2.0",
            NOT_STATED,
            "validation-annotations-object-segmentation.csv, validation/, validation-masks-0/ … f/",
            "openimages",
            (
                "download the table and the masks of the validation split from "
                "https://storage.googleapis.com/openimages/web/download_v7.html",
                "download the images with https://github.com/cvdfoundation/open-images-dataset",
                "put all of them into {folder}, each archive unpacked into a folder of its own name",
            ),
        ),
        PublicDataset(
            "hypersim",
            "rendered indoor scenes",
            "github.com/apple/ml-hypersim",
            "CC BY-SA 3.0",
            "1.9 TB, of which a part is needed",
            "ai_001_001/images/scene_cam_00_final_preview/ and …_geometry_hdf5/",
            "hypersim",
            (
                "download scenes with the scripts of https://github.com/apple/ml-hypersim: only "
                "*_final_preview/*.tonemap.jpg and *_geometry_hdf5/*.semantic*.hdf5 are needed",
                "put the scenes ai_001_001 … into {folder}",
            ),
        ),
        PublicDataset(
            "kitti360",
            "drives through suburbs, with instances of vehicles, buildings and others",
            "cvlibs.net/datasets/kitti-360",
            "CC BY-NC-SA 3.0",
            "128 GB of images, 1.8 GB of annotations",
            "data_2d_raw/DRIVE/image_00/data_rect/, data_2d_semantics/train/DRIVE/image_00/instance/",
            "kitti360",
            (
                "register at https://www.cvlibs.net/datasets/kitti-360 and download the perspective images and the 2D "
                "semantics",
                "unpack both in {folder}",
            ),
        ),
    )
}
"""The public data sets by name."""


def run_command(name: str, data: str) -> str:
    """Return the command that measures two models on the data set `name`, which --data opens as `data`."""
    return f"bench run --models flip-tiny,box --data {data} --out results/{name}"


def find_dataset(name: str) -> PublicDataset:
    """Look up a data set by name. Raises UnknownDataset, with the nearest names."""
    if name not in CATALOGUE:
        known = [*CATALOGUE, *names()]
        near = get_close_matches(name.lower(), known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
        raise UnknownDataset(f"no public data set is called {name!r}; {hint}")
    return CATALOGUE[name]
