"""Which rows of a view a claim is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import pandas as pd

from reports.claims import Finding, Models
from reports.claims.evidence import difference
from reports.view import View, told_from

MEASURE = "bench run --models"


@dataclass(frozen=True)
class Compared:
    """A series, or a pair of series, with what is said of it in rows.

    Attributes:
        about: The series in words, "A − B" of a pair.
        models: The models by name.
        rows: The series' own rows; of a pair those of `difference`.
    """

    about: str
    models: Models
    rows: pd.DataFrame


@dataclass(frozen=True)
class Family:
    """Models that are compared with each other's.

    Attributes:
        begins: What the names of these models begin with.
        members: The ones that claims are about. The others are measured beside them: MobileSAM and EfficientSAM are not
            SAM, and the released FLIP-Tiny to -Large are not the paper's S, M and L.
        crop: Whether they are shown a crop of the picture.
    """

    begins: tuple[str, ...]
    members: tuple[str, ...]
    crop: bool = False


FLIP = Family(("flip",), ("flip-s", "flip-m", "flip-l"))
FASTSAM = Family(("fastsam",), ("fastsam-s", "fastsam-x"))
SAM = Family(("sam", "mobilesam", "efficientsam"), ("sam-b", "sam-l", "sam-h"))
SAM_ON_CROP = Family(SAM.begins, tuple(f"{name}@crop" for name in SAM.members), crop=True)


def all_pairs(ours: Family, theirs: Family) -> tuple[Models, ...]:
    """Every member of one family with every member of the other."""
    return tuple((a, b) for a in ours.members for b in theirs.members)


def told(view: View, source: str = "matched") -> pd.DataFrame:
    """The plain rows of trained models that were prompted from `source`."""
    rows = told_from(view.plain, source)
    return rows[~rows["untrained"].astype(bool)]


def series(rows: pd.DataFrame, *families: Family) -> list[Compared]:
    """The models of some families, each with its rows; one of several variants (weights, settings) comes as several."""
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
    """Every one of `ours` with every one of `theirs`: "A − B", and their `difference`."""
    theirs = list(theirs)
    for a in ours:
        for b in theirs:
            yield Compared(f"{a.about} − {b.about}", a.models + b.models, difference(a.rows, b.rows))


def named(findings: Iterable[Finding], models: Iterable[Models]) -> list[Finding]:
    """Findings with the names of their models."""
    return [replace(found, models=each) for found, each in zip(findings, models, strict=True)]
