"""WebDataset shards: tar files in which 000123.png is followed by 000123.json, its annotations and credits."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from objascale.export.output import new_folder
from objascale.export.pictures import ExportImage, pictures, split

_END = tarfile.RECORDSIZE + 2 * tarfile.BLOCKSIZE  # what the end of a tar file takes at the most


def write_webdataset(folder: Path, out: Path, max_bytes: int) -> list[Path]:
    """Write `out`/000000.tar and so on, each at most `max_bytes` unless one image alone is more; gives their paths.

    Equal datasets give equal bytes. Raises DatasetError if `out` is no new folder, or an image is not what its
    annotation says.
    """
    shards = split(pictures(folder), _size, max_bytes - _END)
    names = [f"{number:06d}.tar" for number in range(len(shards))]
    with new_folder(out) as partial:
        for name, shard in zip(names, shards, strict=True):
            with tarfile.open(partial / name, "w", format=tarfile.USTAR_FORMAT) as tar:
                for picture in shard:
                    _add(tar, picture.name, picture.read())
                    _add(tar, f"{picture.image_id:06d}.json", _text(picture))
    return [out / name for name in names]


def _text(picture: ExportImage) -> bytes:
    content = {**picture.about, "objects": picture.objects}
    return json.dumps(content, ensure_ascii=False).encode()


def _size(picture: ExportImage) -> int:
    """Bytes in the tar file: a block of header for each member, and whole blocks of content."""
    return sum(
        tarfile.BLOCKSIZE * (1 + -(-length // tarfile.BLOCKSIZE))
        for length in (picture.path.stat().st_size, len(_text(picture)))
    )


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """A member without owner or time."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
