"""Milliseconds of FLIP-Tiny by stage for one prompt, for many prompts, and of sampling in images of several sizes.

    python tests/benchmarks/predict.py [--weights DIR] [--threads 1] [--rounds 5]

Prompts are two objects of the authors' demo image if the test material is beside the checkout, else discs of three
sizes in a generated image. Times are medians over rounds that interleave the stages, so that other load affects all
stages equally. `whole` is the time of a prompt from patches to mask. Each ratio is the speed-up over evaluating every
pixel, and `IoU` is between the two masks.

The second table compares 32 prompts one by one and together, for objects of three sizes. `pre`, `model` and `post` are
the stages of a prompt of 32. `network` is the part of `model` in its matrix products, attention and activations, which
take as long for each prompt in any batch on one core. `limit` is the ratio if everything else cost nothing.
"""

from __future__ import annotations

import math

# ruff: noqa: E402
from objascale.cores import wait_passively

wait_passively()  # before NumPy and PyTorch are loaded

import argparse
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.profiler import ProfilerActivity, profile

from flip.gaussian import RELEASED_UNIT, Gaussian
from flip.predictor import load_predictor
from flip.released.predictor import FlipPredictor, network_input
from flip.released.target import Target, evaluation_box
from flip.sampler import sample
from flip.stopwatch import Stopwatch

SHARED = Path(__file__).resolve().parents[3] / "shared"
NETWORK_OPERATORS = (
    "aten::addmm",
    "aten::_scaled_dot_product_flash_attention_for_cpu",
    "aten::silu",
    "aten::native_layer_norm",
)
COLUMNS = ("box px", "sample", "s. 2048", "encoder", "dense", "refined", "ratio", "whole", "ratio", "IoU")


def demo() -> tuple[NDArray[np.uint8], dict[str, Gaussian]]:
    """Return the authors' demo image and two of their prompts."""
    image = np.asarray(Image.open(SHARED / "assets" / "photos" / "flip-demo.png").convert("RGB"))
    prompts = {}
    with np.load(SHARED / "flip" / "golden.npz") as golden:
        for name in ("plate", "clip"):
            x, y, s1, s2, a, b = golden[f"{name}/position_128"].astype(np.float64)
            axes = np.array(((a, b), (-b, a))) * (s1 * RELEASED_UNIT, s2 * RELEASED_UNIT)
            mean = (x * RELEASED_UNIT + image.shape[1] / 2 + 0.5, y * RELEASED_UNIT + image.shape[0] / 2 + 0.5)
            prompts[name] = Gaussian.from_moments(mean, axes @ axes.T)
    return image, prompts


def discs() -> tuple[NDArray[np.uint8], dict[str, Gaussian]]:
    """Return an image of three discs on noise, and their prompts."""
    image = np.random.default_rng(0).integers(0, 120, (1024, 1024, 3), dtype=np.uint8)
    prompts = {}
    for name, x, y, radius in (("large", 400, 420, 140), ("middle", 800, 300, 40), ("small", 700, 800, 10)):
        prompts[name] = Gaussian.from_ellipse(x, y, radius, radius, 0)
        image[prompts[name].ellipse_mask(1024, 1024).full()] += 120
    return image, prompts


def measure(predictor: FlipPredictor, image: NDArray[np.uint8], gaussian: Gaussian, rounds: int) -> tuple[dict, float]:
    """Return the median milliseconds by stage, and the IoU of the two masks."""
    height, width = image.shape[:2]
    box = evaluation_box(gaussian, width, height)
    prompt = torch.from_numpy(gaussian.released(width, height))
    watch, times = Stopwatch(), []
    for _ in range(rounds + 1):
        with watch("sample"):
            patches = sample(image, gaussian, 512, 0)
        with watch("sample 2048"):
            sample(image, gaussian, 2048, 0)
        pixels, centres = network_input(patches, width, height)
        with watch("encode"):
            encoded = predictor.model.encode(pixels, centres, prompt)
        with watch("dense"):
            (dense,) = predictor.find([Target((width, height), box, prompt, encoded)])
        with watch("refined"):
            (refined,) = predictor.find([Target((width, height), box, prompt, encoded, gaussian)])
        times.append(watch.reset())
    del times[0]  # the first round compiles and warms up
    return {stage: median(round[stage] for round in times) for stage in times[0]}, dense.iou(refined)


def singles_and_batches(predictor: FlipPredictor, rounds: int) -> None:
    """Print milliseconds per prompt, one by one and 32 together, for objects of three radii."""
    image, _ = discs()
    predictor.set_image(image)
    rng, watch = np.random.default_rng(0), Stopwatch()
    columns = ("radius", "single", "of 32", "ratio", "pre", "model", "post", "network", "limit")
    print("\n" + " ".join(f"{column:>7}" for column in columns))
    for radius in (3, 9, 18):
        prompts = [
            Gaussian.from_ellipse(*rng.uniform(100, 900, 2), radius, radius * 0.7, math.degrees(1)) for _ in range(32)
        ]
        times = []
        for _ in range(rounds + 1):
            with watch("single"):
                for prompt in prompts:
                    predictor.predict(gaussian=prompt)
            predictor.stopwatch.reset()
            with watch("many"):
                predictor.predict_many(prompts)
            times.append(watch.reset() | predictor.stopwatch.reset())
        ms = {stage: median(round[stage] / 32 for round in times[1:]) for stage in times[0]}
        network = ms["model"] * network_share(predictor, prompts)
        ratios = (ms["single"] / ms["many"], ms["single"] / network)
        cells = (ms["single"], ms["many"], ratios[0], ms["pre"], ms["model"], ms["post"], network, ratios[1])
        print(f"{radius:7} " + " ".join(f"{cell:7.1f}" for cell in cells))


def network_share(predictor: FlipPredictor, prompts: list[Gaussian]) -> float:
    """Return the part of the operators' time that matrix products, attention and activations take."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        predictor.predict_many(prompts)
    seconds = {each.key: each.self_cpu_time_total for each in profiled.key_averages()}
    return sum(seconds.get(operator, 0.0) for operator in NETWORK_OPERATORS) / sum(seconds.values())


def sampling(rounds: int) -> None:
    """Print milliseconds of sampling 512 patches, in images of five sizes in turn."""
    sides, watch, times = (512, 1024, 2048, 4096, 8192), Stopwatch(), []
    images = {side: np.zeros((side, side, 3), np.uint8) for side in sides}
    for i in range(20 * rounds):
        for side, image in images.items():
            with watch(str(side)):
                sample(image, Gaussian.from_ellipse(side / 2, side / 2, 60, 40, math.degrees(0.5)), 512, i)
        times.append(watch.reset())
    print("\nsample  " + " ".join(f"{side:7}" for side in sides))
    print("        " + " ".join(f"{median(round[str(side)] for round in times):7.2f}" for side in sides))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=SHARED / "assets" / "weights")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    predictor = load_predictor("flip-tiny", arguments.weights)
    image, prompts = demo() if SHARED.is_dir() else discs()
    print(f"{'prompt':>7} " + " ".join(f"{column:>7}" for column in COLUMNS))
    for name, gaussian in prompts.items():
        x0, y0, x1, y1 = evaluation_box(gaussian, image.shape[1], image.shape[0])
        with torch.inference_mode():
            ms, iou = measure(predictor, image, gaussian, arguments.rounds)
        before = ms["sample"] + ms["encode"]
        cells = (
            *(f"{(x1 - x0) * (y1 - y0)}", f"{ms['sample']:.2f}", f"{ms['sample 2048']:.2f}", f"{ms['encode']:.1f}"),
            *(f"{ms['dense']:.1f}", f"{ms['refined']:.1f}", f"{ms['dense'] / ms['refined']:.1f}"),
            *(f"{before + ms['refined']:.1f}", f"{(before + ms['dense']) / (before + ms['refined']):.1f}"),
            f"{iou:.4f}",
        )
        print(f"{name:>7} " + " ".join(f"{cell:>7}" for cell in cells))
    singles_and_batches(predictor, arguments.rounds)
    sampling(arguments.rounds)


if __name__ == "__main__":
    main()
