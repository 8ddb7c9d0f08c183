"""Export to WebDataset shards: tar files in which 000123.json, with annotations and credits, follows 000123.png."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from objascale.export.output import new_folder
from objascale.export.pictures import ExportImage, pictures, split

_TAR_END_BYTES = tarfile.RECORDSIZE + 2 * tarfile.BLOCKSIZE  # at most: two empty blocks, and padding to a record


def write_webdataset(folder: Path, out: Path, max_bytes: int) -> list[Path]:
    """Write `out`/000000.tar, 000001.tar, … and return their paths.

    Equal datasets give equal bytes.

    Args:
        folder: The dataset.
        out: Folder to write, new or empty.
        max_bytes: Largest tar file, bytes. An image that is larger gets a file of its own.

    Raises:
        DatasetError: If `out` holds files, or an image does not match its SHA-256.
    """
    shards = split(pictures(folder), _size, max_bytes - _TAR_END_BYTES)
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
    """Return the bytes in the tar file: for each member, a block of header and whole blocks of content."""
    return sum(
        tarfile.BLOCKSIZE * (1 + -(-length // tarfile.BLOCKSIZE))
        for length in (picture.path.stat().st_size, len(_text(picture)))
    )


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """Add a member without owner or time."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
