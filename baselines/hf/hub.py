"""Repositories of the Hugging Face hub, in its own cache (HF_HOME), and folders of the same layout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

from baselines.hf.folder import CONFIG, INDEX, PROCESSORS, SHARD, WEIGHTS, read_config, shards, weights_files
from flip.weights import WeightsMissing
from objascale.download import DownloadFailed, HostUnavailable
from objascale.progress import ProgressCallback
from objascale.validation import in_one_line

INSTALL = "pip install 'objascale-suite[hf]'"


@dataclass(frozen=True)
class Repository:
    """The place of a model's files.

    Attributes:
        source: OWNER/NAME on the hub, or the path of a folder.
        revision: A branch, a tag or a commit; None for the main branch.
    """

    source: str
    revision: str | None = None

    @property
    def folder(self) -> Path | None:
        """The folder, if `source` is one."""
        path = Path(self.source).expanduser()
        return path if path.is_dir() else None

    @property
    def is_local(self) -> bool:
        """Whether `source` is a folder, or a path and so no name on the hub."""
        return self.folder is not None or self.source.startswith(("/", ".", "~"))

    def find(self, name: str) -> tuple[Path, ...]:
        """Return the weights files on this machine, without use of the network.

        Args:
            name: The model's name for `bench fetch`.

        Raises:
            WeightsMissing: There is no complete set of files. The error says how to get one.
        """
        if self.is_local:
            return self._local_files()
        snapshot = self._snapshot()
        if snapshot is None:
            raise WeightsMissing(
                f"no weights for {name}: the cache of the Hugging Face hub has no {self}; run `bench fetch {name}`"
            )
        return weights_files(snapshot)

    def fetch(self, progress: ProgressCallback | None = None) -> tuple[Path, ...]:
        """Download the missing files into the cache of the hub, which resumes and checks them.

        Args:
            progress: Called with the name of a file, its bytes so far and its bytes in all.

        Returns:
            The weights files.

        Raises:
            DownloadFailed: The repository is missing, gated or cannot be reached.
            WeightsMissing: It holds no promptable segmenter in safetensors.
        """
        if self.is_local:
            return self._local_files()
        with self._errors():
            get = partial(self._get, progress=progress)
            config = get(CONFIG, self.revision)
            if config is None:
                raise WeightsMissing(f"{self} has no {CONFIG}, so transformers cannot load it; choose another")
            read_config(config.parent)  # before gigabytes are fetched
            commit = config.parent.name
            for name in PROCESSORS:
                get(name, commit)
            index = get(INDEX, commit)
            for name in shards(index) if index else [WEIGHTS]:
                if get(name, commit) is None:
                    raise WeightsMissing(
                        f"{self} has no {name}, and other weights are not loaded because they can run code; choose a "
                        "repository that has it, or a revision: OWNER/NAME@REVISION"
                    )
        return weights_files(config.parent)

    def size(self) -> int | None:
        """Return the bytes of the weights on the hub; None if the hub does not say."""
        try:
            with self._errors():
                from huggingface_hub import HfApi

                info = HfApi().model_info(self.source, revision=self.revision, files_metadata=True)
        except (DownloadFailed, WeightsMissing):  # `fetch` says why
            return None
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        shards = sum(size for name, size in sizes.items() if fnmatch(name, SHARD))
        return (shards if INDEX in sizes else sizes.get(WEIGHTS)) or None

    def _get(self, name: str, revision: str | None, progress: ProgressCallback | None) -> Path | None:
        """Return the path of a file after its download; None if the repository does not have it."""
        from huggingface_hub import errors, hf_hub_download

        try:
            return Path(hf_hub_download(self.source, name, revision=revision, tqdm_class=_bar(name, progress)))
        except errors.RemoteEntryNotFoundError:
            return None

    def __str__(self) -> str:
        return f"{self.source}@{self.revision}" if self.revision else self.source

    def _local_files(self) -> tuple[Path, ...]:
        """Return the weights files of the folder. Raises WeightsMissing."""
        if self.folder is None:
            raise WeightsMissing(f"there is no folder {self.source}")
        if self.revision:
            raise WeightsMissing(f"{self.source} is a folder, which has no revision {self.revision}; omit @REVISION")
        return weights_files(self.folder)

    def _snapshot(self) -> Path | None:
        """Return the folder of the revision in the cache, or None."""
        with self._errors():
            from huggingface_hub import try_to_load_from_cache

            found = try_to_load_from_cache(self.source, CONFIG, revision=self.revision)
            return Path(found).parent if isinstance(found, str) else None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the errors of huggingface_hub into one sentence with a way out."""
        try:
            from huggingface_hub import errors
        except ImportError as error:
            raise WeightsMissing(f"{self} needs transformers: {INSTALL}") from error
        page = f"https://huggingface.co/{self.source}"
        try:
            yield
        except errors.GatedRepoError as error:
            raise DownloadFailed(
                f"{self.source} is gated; accept its licence at {page}, then set HF_TOKEN to your access token",
                "gated",
            ) from error
        except errors.RepositoryNotFoundError as error:
            raise DownloadFailed(
                f"the Hugging Face hub has no repository {self.source}, or it is private; check the name, or set "
                "HF_TOKEN to your access token",
                "http-404",
            ) from error
        except errors.RevisionNotFoundError as error:
            raise DownloadFailed(
                f"{self.source} has no revision {self.revision}; see {page}/commits", "http-404"
            ) from error
        except errors.HFValidationError as error:
            raise WeightsMissing(
                f"{self.source} is neither a folder nor a name OWNER/NAME on the Hugging Face hub"
            ) from error
        except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ConnectionError) as error:
            raise HostUnavailable(
                f"the Hugging Face hub cannot be reached for {self.source}; check the network, HF_ENDPOINT and "
                "HF_HUB_OFFLINE, or copy the repository here and give the folder: hf:FOLDER"
            ) from error
        except (DownloadFailed, WeightsMissing):
            raise
        except Exception as error:  # of the HTTP library and of the disk: many types
            remedy = "; set HF_HOME to a folder with space" if getattr(error, "errno", None) else ""
            raise DownloadFailed(f"{self} cannot be fetched: {in_one_line(error)}{remedy}") from error


def _bar(name: str, progress: ProgressCallback | None) -> Any:
    """Return a class of progress bars that calls `progress` and draws nothing; None for the hub's own bars."""
    if progress is None:
        return None
    from tqdm import tqdm

    def start(bar: Any, *, total: float | None = None, initial: float = 0, **_: Any) -> None:
        tqdm.__init__(bar, disable=True)
        bar.n, bar.total = initial, total

    def update(bar: Any, n: float = 1) -> None:
        bar.n += n
        progress(name, int(bar.n), int(bar.total or 0))

    return type("Bar", (tqdm,), {"__init__": start, "update": update})
