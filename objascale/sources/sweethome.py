"""Furniture libraries of Sweet Home 3D: .sh3f files, which are zip archives of OBJ models with a catalogue.

The catalogue PluginFurnitureCatalog.properties has `license` and `provider` of the library, and `id#N`, `name#N`,
`category#N`, `model#N` (a path in the archive), `creator#N` and `license#N` of its pieces. Translations of the
catalogue are not read.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
import zlib
from collections import defaultdict
from pathlib import Path, PurePosixPath

from objascale.files import cache_folder, file_sha256
from objascale.sources import Asset, SourceError
from objascale.sources.folder import OBJECT_SUFFIXES
from objascale.sources.properties import parse_properties

CATALOGUE = "PluginFurnitureCatalog.properties"

MAX_UNPACKED_BYTES = 4 << 30
MAX_FILES = 100_000
"""Limits of an unpacked library. The largest published one has 0.2 GB in 2,000 files."""

_MAX_LICENCE_LENGTH = 200  # characters of a licence file that a credit quotes; a choice


def objects(path: Path) -> list[Asset]:
    """Return the pieces of a library, or of all libraries in a folder.

    Each library is unpacked once, into CACHE/sweethome3d/SHA256. The category of a piece is that of the catalogue in
    snake case. The first of several pieces with the same id counts, as in Sweet Home 3D. Models in formats outside
    OBJECT_SUFFIXES are left out.

    Raises:
        SourceError: If there is no library, or one is broken, unsafe or without models.
    """
    libraries = sorted(path.glob("*.sh3f")) if path.is_dir() else [path]
    if not libraries or not libraries[0].is_file():
        raise SourceError(f"no furniture library at {path}: expected an .sh3f file, or a folder that holds some")
    found: dict[str, Asset] = {}
    for library in libraries:
        for asset in _pieces(library, _unpacked(library)):
            found.setdefault(asset.id, asset)
    return list(found.values())


def _pieces(library: Path, root: Path) -> list[Asset]:
    """Return the pieces of an unpacked library."""
    try:
        properties = parse_properties((root / CATALOGUE).read_bytes())
    except FileNotFoundError as error:
        raise SourceError(f"{library} is not a furniture library: it has no {CATALOGUE}") from error
    pieces: dict[int, dict[str, str]] = defaultdict(dict)
    for key, value in properties.items():
        if numbered := re.fullmatch(r"(\w+)#([1-9]\d{0,8})", key, re.ASCII):
            pieces[int(numbered[2])][numbered[1]] = " ".join(value.split())
    licence = " ".join(properties.get("license", "").split()) or _licence_file(root)
    found = []
    for number, piece in sorted(pieces.items()):
        model = PurePosixPath(piece.get("model", "").lstrip("/"))
        if model.suffix.lower() not in OBJECT_SUFFIXES:
            continue
        path = root / model
        if ".." in model.parts or not path.is_file():
            raise SourceError(f"{library} is broken: its piece {number} is the model {model}, which is missing")
        category = _snake(piece.get("category", "")) or "miscellaneous"
        name = _snake(piece.get("id", "")) or _snake(f"{library.stem} {number}")
        found.append(
            Asset(
                f"{category}/{name}",
                category,
                path,
                file_sha256(path),
                title=piece.get("name", ""),
                author=piece.get("creator", ""),
                licence=piece.get("license") or licence,
                url=properties.get("provider", ""),
            )
        )
    if not found:
        raise SourceError(f"{library} lists no models with a suffix of {' '.join(OBJECT_SUFFIXES)}")
    return found


def _unpacked(library: Path) -> Path:
    """Unpack the library, unless it is unpacked, and return the folder. Raises SourceError."""
    root = cache_folder() / "sweethome3d" / file_sha256(library)
    if root.is_dir():
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=root.parent, prefix=".part-"))
    try:
        with zipfile.ZipFile(library) as archive:
            _refuse_unsafe(library, archive.infolist())
            archive.extractall(partial)
        partial.rename(root)
    except OSError:
        if not root.is_dir():  # otherwise another process has unpacked it
            raise
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise SourceError(f"{library} cannot be unpacked ({error}); download it again") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return root


def _refuse_unsafe(library: Path, members: list[zipfile.ZipInfo]) -> None:
    """Raise SourceError for an archive that would write outside its folder or exceed the limits."""
    for member in members:
        name = PurePosixPath(member.filename)
        if name.is_absolute() or ".." in name.parts or "\\" in member.filename:
            raise SourceError(f"{library} is unsafe: its file {member.filename!r} would be outside its folder")
    size = sum(member.file_size for member in members)
    if size > MAX_UNPACKED_BYTES or len(members) > MAX_FILES:
        raise SourceError(
            f"{library} is too large: {len(members):,} files of {size:,} bytes, the limits are "
            f"{MAX_FILES:,} files and {MAX_UNPACKED_BYTES:,} bytes"
        )


def _licence_file(root: Path) -> str:
    """Return the beginning of a licence file beside the catalogue, or ""."""
    for path in sorted(root.iterdir()):
        if path.is_file() and path.stem.lower() in ("license", "licence"):
            return " ".join(path.read_text("utf-8", errors="replace").split())[:_MAX_LICENCE_LENGTH]
    return ""


def _snake(text: str) -> str:
    """Living room → living_room."""
    return re.sub(r"\W+", "_", text.lower()).strip("_")
