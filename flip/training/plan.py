"""The cost of a schedule: floating-point operations, and days at a measured or assumed speed."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from flip.paper.glimpses import PATCH_SIZES, Glimpses, Layout
from flip.paper.model import PAPER_CONFIGS, Flip
from flip.training.config import Config, Phase
from flip.training.journal import StepReport

MEASURED_STEPS = 50
"""Steps after which `flip train` prints the plan."""

_SKIPPED_STEPS = 10  # warm-up: memory is allocated, and blocks are compiled
_DEVICES = (1, 2, 4, 8)
_SECONDS_PER_DAY = 86_400
_BACKWARD = 2  # the backward pass costs about twice the forward pass


def flops_per_example(model: str, tokens: int, outputs: int) -> float:
    """Return floating-point operations of a training example of a paper's model, forward and backward.

    They are counted by PyTorch in a forward pass without data. A fifth of the patches has each size. The optimiser and
    the auxiliary layers of training are not counted: they are small.

    Args:
        model: Key of PAPER_CONFIGS.
        tokens: Number of input patches.
        outputs: Number of output patches.
    """
    with FakeTensorMode():
        network = Flip(PAPER_CONFIGS[model]).eval()  # in training, numbers of patches are rounded up
        inputs, written = _layout(tokens), _layout(outputs)
        pixels = {p: torch.empty(len(slots), 3, p, p, dtype=torch.uint8) for p, slots in inputs.slots.items()}
        counter = FlopCounterMode(display=False)
        with counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
            network(Glimpses(pixels, inputs, torch.empty(1, 6)), written)
    return float((1 + _BACKWARD) * counter.get_total_flops())


def _layout(patches: int) -> Layout:
    """Return a layout of one prompt without data."""
    slots = torch.arange(patches).tensor_split(len(PATCH_SIZES))
    real = torch.ones(1, patches, dtype=torch.bool)
    return Layout(torch.empty(1, patches, 2), torch.empty(1, patches), real, dict(zip(PATCH_SIZES, slots, strict=True)))


@dataclass(frozen=True)
class PhaseCost:
    """Cost of a phase.

    Args:
        phase: The phase.
        examples: Number of examples.
        flops: Floating-point operations per example.
    """

    phase: Phase
    examples: int
    flops: float


def phase_costs(config: Config) -> list[PhaseCost]:
    """Return the cost of each phase of a paper's model."""
    size = config.scenes * config.masks
    return [
        PhaseCost(phase, size * phase.steps, flops_per_example(config.model, phase.tokens, phase.outputs))
        for phase in config.phases
    ]


class Plan:
    """Collects the speed of the first steps, and then describes the rest of a run once.

    Args:
        config: The configuration.
        devices: Number of devices, over all nodes.
    """

    def __init__(self, config: Config, devices: int) -> None:
        self._config, self._devices = config, devices
        self._seconds: list[float] = []

    def after(self, report: StepReport) -> list[str]:
        """Return the plan, as lines, after MEASURED_STEPS steps of this process; nothing after any other step."""
        self._seconds.append(self._config.scenes * self._config.masks / report.examples_per_second)
        if len(self._seconds) != min(MEASURED_STEPS, self._config.steps):
            return []
        measured = self._seconds[_SKIPPED_STEPS:] or self._seconds
        return self.describe(report.step, sum(measured) / len(measured))

    def describe(self, step: int, seconds: float) -> list[str]:
        """Describe the steps after `step`, if a step of its phase takes `seconds`.

        Other phases of the paper's models take as long as their floating-point operations say; those of the released
        models, as their numbers of patches say.
        """
        config = self._config
        here = self._work(config.phase(step - 1))
        left, done = 0.0, 0
        for phase in config.phases:
            remaining = phase.steps - min(max(step - done, 0), phase.steps)
            left += remaining * seconds * self._work(phase) / here
            done += phase.steps
        size = config.scenes * config.masks
        days = [f"{left * self._devices / n / _SECONDS_PER_DAY:.3g} on {n}" for n in _DEVICES]
        return [
            f"plan: {config.steps - step:,} of {config.steps:,} steps are left, {size} examples each; "
            f"{size / seconds:.3g} examples/s in the last {len(self._seconds)} steps",
            f"plan: days to the end, by number of devices such as this one: {', '.join(days)} (speed in proportion)",
            f"plan: {_peak_memory()}",
        ]

    def _work(self, phase: Phase) -> float:
        if self._config.model in PAPER_CONFIGS:
            return flops_per_example(self._config.model, phase.tokens, phase.outputs)
        return float(phase.tokens)


def devices_here(device: str) -> int:
    """Return the number of GPUs that a run on `device` uses; 1 without any."""
    return max(torch.cuda.device_count(), 1) if device != "cpu" else 1


def _peak_memory() -> str:
    """Return the peak memory so far: of the first GPU if there is one, else of this process."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return f"{torch.cuda.max_memory_allocated() / 2**30:.3g} GiB of GPU memory"
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.3g} GiB of memory"


def cost_table(configs: Sequence[Config], flops_per_second: float, utilisations: Sequence[float]) -> str:
    """Return a Markdown table of the cost of schedules on one device.

    Args:
        configs: Configurations of paper's models.
        flops_per_second: Peak of the device.
        utilisations: Assumed fractions of the peak, a column of days for each.
    """
    shares = [f"days at {share:.0%}" for share in utilisations]
    rows = [
        f"| {' | '.join(('model', 'phase', 'examples', 'GFLOP per example', *shares))} |",
        f"|---|---|{'---:|' * (2 + len(shares))}",
    ]
    for config in configs:
        costs = phase_costs(config)
        for cost in costs:
            name = f"{cost.phase.tokens} patches, {'half' if cost.phase.half else 'full'} size"
            cells = [config.model, name, f"{cost.examples:,}", _rounded(cost.flops / 1e9)]
            rows.append(_row(cells, cost.examples * cost.flops, flops_per_second, utilisations))
        cells = [config.model, "all", f"{sum(cost.examples for cost in costs):,}", ""]
        rows.append(_row(cells, sum(cost.examples * cost.flops for cost in costs), flops_per_second, utilisations))
    return "\n".join(rows)


def _row(cells: Sequence[str], flops: float, peak: float, utilisations: Sequence[float]) -> str:
    days = [_rounded(flops / (peak * share * _SECONDS_PER_DAY)) for share in utilisations]
    return f"| {' | '.join((*cells, *days))} |"


def _rounded(number: float) -> str:
    """Return a number with two digits, or its whole part if that has more."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"
