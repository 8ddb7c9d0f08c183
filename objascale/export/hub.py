"""Upload of an exported folder to a data set repository of the Hugging Face hub.

huggingface_hub uploads in chunks and several commits. The same upload, begun again, skips what the hub already has.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from objascale.dataset import DatasetError
from objascale.validation import in_one_line

_INSTALL = "pip install 'objascale-suite[hf]'"


def check_repository(repository: str) -> None:
    """Check that a data set repository exists and that there is an access token.

    Args:
        repository: OWNER/NAME.

    Raises:
        DatasetError: huggingface_hub, the token or the repository is missing, or the hub cannot be reached.
    """
    with _errors(repository):
        from huggingface_hub import HfApi, get_token

        if get_token() is None:
            raise DatasetError(
                f"--push {repository} needs an access token with write permission: set HF_TOKEN, or run `hf auth login`"
            )
        HfApi().repo_info(repository, repo_type="dataset")


def push(folder: Path, repository: str) -> str:
    """Upload a folder to the main branch of a data set repository and return the address of the commit.

    Files of equal names are replaced, other files are kept.

    Args:
        folder: A folder of `export huggingface`.
        repository: OWNER/NAME.

    Raises:
        DatasetError: As `check_repository`, or the token may not write there.
    """
    with _errors(repository):
        from huggingface_hub import HfApi

        message = "Upload by objascale export huggingface"
        commit = HfApi().upload_folder(
            repo_id=repository, repo_type="dataset", folder_path=folder, commit_message=message
        )
        return str(commit.commit_url)


@contextmanager
def _errors(repository: str) -> Iterator[None]:
    """Turn the errors of huggingface_hub into one sentence with a way out."""
    try:
        from huggingface_hub import errors
    except ImportError as error:
        raise DatasetError(f"--push needs huggingface_hub: {_INSTALL}") from error
    try:
        yield
    except errors.HFValidationError as error:
        raise DatasetError(f"--push {repository}: give the name of a data set on the hub, OWNER/NAME") from error
    except errors.RepositoryNotFoundError as error:
        raise DatasetError(
            f"the Hugging Face hub has no data set {repository} that your access token may see; correct the name, or "
            "create it at https://huggingface.co/new-dataset"
        ) from error
    except DatasetError:
        raise
    except Exception as error:  # of the HTTP library and of the upload: many types
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if status == HTTPStatus.FORBIDDEN:
            raise DatasetError(
                f"your access token may not write to {repository}; make one with write permission at "
                "https://huggingface.co/settings/tokens"
            ) from error
        raise DatasetError(
            f"the Hugging Face hub cannot be reached for {repository} or refuses it ({in_one_line(cause)}); check the "
            "network, HF_ENDPOINT and HF_HUB_OFFLINE, and run the same command again"
        ) from error
