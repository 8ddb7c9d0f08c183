"""WebDataset shards: tar files in which 000123.png is followed by 000123.json, its annotations and credits."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from objascale.dataset import DatasetError, read_annotations, read_header

Sample = dict[str, bytes]
"""File name → content."""

_END = tarfile.RECORDSIZE + 2 * tarfile.BLOCKSIZE  # what the end of a tar file takes at the most
_OF_THE_IMAGE = ("image_id", "width", "height", "image_sha256")


def write_webdataset(folder: Path, out: Path, max_bytes: int) -> list[Path]:
    """Write `out`/000000.tar and so on, each at most `max_bytes` unless one image alone is more; gives their paths.

    Equal datasets give equal bytes. Raises DatasetError if `out` holds shards already, or an image is not what its
    annotation says.
    """
    if any(out.glob("*.tar")):
        raise DatasetError(f"{out} holds shards already; give a new folder with --out")
    paths = []
    out.mkdir(parents=True, exist_ok=True)
    for number, group in groupby(_numbered(samples(folder), max_bytes), key=itemgetter(0)):
        path = out / f"{number:06d}.tar"
        partial = path.with_name(f".{path.name}.part")
        try:
            with tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as tar:
                for _, sample in group:
                    _add(tar, sample)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        paths.append(path)
    return paths


def samples(folder: Path) -> Iterator[Sample]:
    """Each image and its JSON, by image id. Raises DatasetError if one is damaged."""
    credits = {credit["id"]: credit for credit in read_header(folder)["credits"]}
    for image_id, rows in read_annotations(folder).groupby("image_id", sort=True):
        objects = [{str(key): _plain(value) for key, value in row.items()} for row in rows.to_dict("records")]
        path = folder / objects[0]["file"]
        if not path.is_file():
            raise DatasetError(f"{path} is missing; objascale verify lists everything that is damaged")
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != objects[0]["image_sha256"]:
            raise DatasetError(f"{path} is not what was rendered: objascale verify lists everything that is damaged")
        content = {name: objects[0][name] for name in _OF_THE_IMAGE}
        content["environment_map"] = credits[objects[0]["hdri_id"]]
        content["objects"] = [
            {name: value for name, value in row.items() if name not in (*_OF_THE_IMAGE, "file", "hdri_id")}
            for row in objects
        ]
        key = f"{int(str(image_id)):06d}"
        text = json.dumps(content, ensure_ascii=False).encode()
        yield {f"{key}{path.suffix}": data, f"{key}.json": text}


def _numbered(samples: Iterable[Sample], max_bytes: int) -> Iterator[tuple[int, Sample]]:
    """Each sample with the number of its shard."""
    number, size = 0, _END
    for sample in samples:
        more = sum(tarfile.BLOCKSIZE * (1 + -(-len(data) // tarfile.BLOCKSIZE)) for data in sample.values())
        if size > _END and size + more > max_bytes:
            number, size = number + 1, _END
        size += more
        yield number, sample


def _add(tar: tarfile.TarFile, sample: Sample) -> None:
    """Members without owners or times."""
    for name, data in sample.items():
        member = tarfile.TarInfo(name)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
