"""Select the rows of the models in a claim."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import pandas as pd

from reports.claims import Finding, Models
from reports.claims.evidence import difference
from reports.view import ResultsView, prompted_from

RUN_COMMAND = "bench run --models"


@dataclass(frozen=True)
class Compared:
    """A series or a pair of series, with its rows.

    Attributes:
        about: The series, "A − B" for a pair.
        models: The names of the models.
        rows: The rows of the series, or the `difference` of a pair.
    """

    about: str
    models: Models
    rows: pd.DataFrame


@dataclass(frozen=True)
class Family:
    """A family of models that is compared with another family.

    Attributes:
        begins: Prefixes of the names of these models.
        members: The models that claims are about. Others are reported beside the claim: MobileSAM and EfficientSAM are
            not SAM, and the released FLIP-Tiny to -Large are not the paper's S, M and L.
        crop: Whether the models run on a crop of the image.
    """

    begins: tuple[str, ...]
    members: tuple[str, ...]
    crop: bool = False


FLIP = Family(("flip",), ("flip-s", "flip-m", "flip-l"))
FASTSAM = Family(("fastsam",), ("fastsam-s", "fastsam-x"))
SAM = Family(("sam", "mobilesam", "efficientsam"), ("sam-b", "sam-l", "sam-h"))
SAM_ON_CROP = Family(SAM.begins, tuple(f"{name}@crop" for name in SAM.members), crop=True)


def all_pairs(ours: Family, theirs: Family) -> tuple[Models, ...]:
    """Return every pair of a member of one family and a member of the other."""
    return tuple((a, b) for a in ours.members for b in theirs.members)


def prompted_rows(view: ResultsView, source: str = "matched") -> pd.DataFrame:
    """Return the plain rows of trained models with prompts from `source`."""
    rows = prompted_from(view.plain, source)
    return rows[~rows["untrained"].astype(bool)]


def series(rows: pd.DataFrame, *families: Family) -> list[Compared]:
    """Return the models of some families with their rows. Variants (weights, settings) of a model are separate."""
    models = rows["model"]
    fitting = [
        rows[models.str.startswith(family.begins) & (models.str.contains("@crop") == family.crop)]
        for family in families
    ]
    found: list[Compared] = []
    for model, group in (each for some in fitting for each in some.groupby("model", sort=False)):
        variants = [Compared(str(name), (str(model),), each) for name, each in group.groupby("series", sort=False)]
        found += variants if len(variants) > 1 else [Compared(str(model), (str(model),), group)]
    return found


def pairs(ours: Iterable[Compared], theirs: Iterable[Compared]) -> Iterator[Compared]:
    """Pair each of `ours` with each of `theirs`: "A − B" and their `difference`."""
    theirs = list(theirs)
    for a in ours:
        for b in theirs:
            yield Compared(f"{a.about} − {b.about}", a.models + b.models, difference(a.rows, b.rows))


def with_models(findings: Iterable[Finding], models: Iterable[Models]) -> list[Finding]:
    """Add the names of the models to findings."""
    return [replace(found, models=each) for found, each in zip(findings, models, strict=True)]
