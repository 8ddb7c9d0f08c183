"""What the commands share: sentences instead of tracebacks, and a console."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console

from objascale.color import ColorError
from objascale.dataset import DatasetError
from objascale.engine import Fatal
from objascale.plan import PlanError
from objascale.sources import SourceError

console = Console(stderr=True)

Device = StrEnum("Device", ["auto", "cpu", "cuda", "optix", "hip", "metal"])
DatasetFolder = Annotated[Path, typer.Argument(metavar="DIR", help="A dataset that objascale render made.")]


class UsageError(ValueError):
    """Options that contradict each other."""


@contextmanager
def errors() -> Iterator[None]:
    """Turn the errors that a user can cause into one sentence."""
    try:
        yield
    except ValidationError as error:
        fail("; ".join(_sentence(detail) for detail in error.errors()), 2)
    except UsageError as error:
        fail(str(error), 2)
    except (SourceError, PlanError, DatasetError, ColorError, Fatal) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted; the same command goes on where this one stopped", 130)
    except OSError as error:
        fail(f"{error.filename or 'a file'}: {error.strerror or error}")


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what is wrong and end the command."""
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(code)


def _sentence(detail: Any) -> str:
    where = "--" + str(detail["loc"][0]).replace("_", "-") + " " if detail["loc"] else ""
    return where + str(detail["msg"]).removeprefix("Value error, ")
