"""A leaderboard: tables in Markdown, made of the submissions of `bench.submission`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from bench.seen import MARKS, footnote
from bench.submission import Metric, Submission
from objascale.intervals import INTERVAL_NOTE

_COLUMNS = {
    "mean_iou": "IoU",
    "mean_iou_s": "S",
    "mean_iou_m": "M",
    "mean_iou_l": "L",
    "mean_boundary_iou": "Boundary IoU",
}
_HEAD = """\
# Leaderboard

Mean IoU in percent. `bench submit` makes a file of a results folder, and `bench leaderboard` makes this page of such
files. Data sets that differ in a mask or in the strength of a dial have tables of their own. S, M and L are COCO's
sizes, and boundary IoU is that of 2 % of the image ([methods.md](methods.md#measures)). Objects with an error count
with IoU 0.
"""


def leaderboard(submissions: Iterable[Submission]) -> str:
    """Return the page: a table per data set, with the highest mean IoU first.

    Of several submissions of a model with the same weights, settings and prompt, the newest counts.
    """
    newest = {_key(each): each for each in sorted(submissions, key=lambda each: each.facts.created)}
    ordered = sorted(newest.values(), key=lambda each: (*_table_of(each), -_iou(each).value, each.model))
    parts = [_HEAD] + [_section(list(group)) for _, group in groupby(ordered, _table_of)]
    return "\n".join(parts if ordered else [*parts, "There are no submissions yet.\n"])


def _section(rows: Sequence[Submission]) -> str:
    benchmark = rows[0].benchmark
    extent = benchmark.args
    version = f" {extent.version}" if extent.version else ""
    shown = {kind: name for kind, name in _COLUMNS.items() if any(kind in each.metrics for each in rows)}
    heads = ["Model", "Prompt", *shown.values(), "Errors", "Weights", "Suite", "Date"]
    lines = [heads, [":--", ":--", *("--:" for _ in shown), "--:", ":--", ":--", ":--"]]
    lines += [_row(each, shown) for each in rows]
    notes = [INTERVAL_NOTE, footnote(each.facts.seen_in_training for each in rows)]
    return "\n".join(
        [
            f"## {benchmark.name}{version}",
            "",
            f"{extent.objects} objects in {extent.images} images; SHA-256 of the data `{benchmark.revision[:12]}`.",
            "",
            *(f"| {' | '.join(line)} |" for line in lines),
            "",
            *(f"{note}\n" for note in notes if note),
        ]
    )


def _row(each: Submission, shown: Iterable[str]) -> list[str]:
    facts = each.facts
    prompt = facts.prompt if not facts.noise else f"{facts.prompt}, noise {facts.noise:g}"
    return [
        f"{each.model}{MARKS[facts.seen_in_training]}",
        f"{prompt}, band ignored" if facts.ignore_band else prompt,
        *(_cell(each.metrics.get(kind)) for kind in shown),
        str(facts.errors),
        f"`{facts.weights_sha256[:8]}`" if facts.weights_sha256 else "—",
        facts.suite,
        f"{facts.created:%Y-%m-%d}",
    ]


def _cell(metric: Metric | None) -> str:
    if metric is None:
        return "—"
    low, high = metric.args.low, metric.args.high
    interval = "" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{100 * metric.value:.1f}{interval}"


def _iou(each: Submission) -> Metric:
    return each.metrics["mean_iou"]


def _table_of(each: Submission) -> tuple[str, str, str]:
    return each.benchmark.name, each.benchmark.args.version or "", each.benchmark.revision


def _key(each: Submission) -> tuple[object, ...]:
    facts = each.facts
    settings = repr(sorted(facts.settings.items()))
    measured = (facts.prompt, facts.prompt_source, facts.noise, facts.ignore_band, facts.exif)
    return *_table_of(each), each.model, facts.weights_sha256, settings, measured
