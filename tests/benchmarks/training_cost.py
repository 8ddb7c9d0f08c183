"""The cost of the paper's schedule on one GPU, extrapolated from floating-point operations; nothing is trained.

    python tests/benchmarks/training_cost.py [--peak 989e12] [--shares 0.05,0.3]

The default peak is that of an H200 for dense bfloat16 products. No GPU reaches it; small models, whose steps are short,
reach a small share of it.
"""

from __future__ import annotations

import argparse

from flip.training.config import read_config
from flip.training.plan import cost_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peak", type=float, default=989e12, help="floating-point operations per second")
    parser.add_argument("--shares", default="0.05,0.3", help="fractions of the peak that training reaches")
    arguments = parser.parse_args()
    configs = [read_config(name) for name in ("flip-s", "flip-m", "flip-l")]
    print(cost_table(configs, arguments.peak, [float(share) for share in arguments.shares.split(",")]))


if __name__ == "__main__":
    main()
