"""Cost of the harness for a model of `transformers`: `bench run` beside the same calls by hand.

    python tests/benchmarks/hf.py [--families sam,sam2] [--side 1024] [--images 3] [--objects 4] [--repeats 3]

The networks have random weights and the size of a small published model. By hand means what the documentation of
transformers shows, at its fastest: the processor prepares the image, the image is encoded once, all boxes of the image
are decoded in calls of the same size, and `post_process_masks` makes the masks. The harness also reads the images and
writes rows with scores. The two take turns, in one process and on one thread.

hand        CPU seconds by hand, with images already decoded
adapter     CPU seconds of `set_image` and `predict_many`, and as a ratio of `hand`
harness     CPU seconds of a whole run over decoded images: prompts, adapter, scores and rows; and as a ratio
"""

from __future__ import annotations

# ruff: noqa: E402
from objascale.cores import wait_passively

wait_passively()  # before NumPy and PyTorch are loaded

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from baselines.hf.architectures import ARCHITECTURES
from baselines.hf.folder import weights_files
from baselines.hf.load import load_hf
from baselines.sam import PROMPTS_PER_DECODE
from baselines.segmenter import Options, Prompt
from baselines.torchvision_cpu import prepare_torchvision
from bench.prompts import PromptSettings, make_prompt
from tests.benchmarks.harness import _measurer, dataset, results

STEP = PROMPTS_PER_DECODE["cpu"]


def save(family: str, folder: Path) -> Path:
    """Save a network with random weights, half as deep as the smallest published one, and return the folder."""
    prepare_torchvision()
    import transformers

    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    if family == "sam":
        vision = transformers.SamVisionConfig(num_hidden_layers=6, global_attn_indexes=[2, 5])
        config: Any = transformers.SamConfig(vision_config=vision)
        processor: Any = transformers.SamProcessor(transformers.SamImageProcessor())
    else:
        config = transformers.Sam2Config()
        processor = transformers.Sam2Processor(transformers.Sam2ImageProcessor())
    transformers.AutoModelForMaskGeneration.from_config(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def by_hand(network: Any, processor: Any, image: Any, boxes: list[list[float]]) -> list[Any]:
    """Return the masks of boxes, one image encoding for all."""
    masks: list[Any] = []
    with torch.inference_mode():
        embeddings = None
        for start in range(0, len(boxes), STEP):
            inputs = processor(images=image, input_boxes=[boxes[start : start + STEP]], return_tensors="pt")
            if embeddings is None:
                embeddings = network.get_image_embeddings(inputs["pixel_values"])
            output = network(image_embeddings=embeddings, input_boxes=inputs["input_boxes"], multimask_output=False)
            sizes = [inputs[name] for name in ("original_sizes", "reshaped_input_sizes") if name in inputs]
            masks += processor.post_process_masks(output.pred_masks, *sizes)[0][:, 0]
    return masks


def seconds(action: Callable[[], Any]) -> float:
    """Return the CPU seconds of a call."""
    start = time.process_time()
    action()
    return time.process_time() - start


def measure(family: str, side: int, images: int, objects: int, repeats: int) -> tuple[float, float, float]:
    """Return the least CPU seconds of `hand`, `adapter` and `harness`."""
    import transformers

    with tempfile.TemporaryDirectory() as scratch:
        folder = save(family, Path(scratch) / "model")
        network = transformers.AutoModelForMaskGeneration.from_pretrained(folder).eval()
        processor = getattr(transformers, ARCHITECTURES[family].processor).from_pretrained(folder)
        segmenter = load_hf(family, weights_files(folder), Options("cpu"))
        data = dataset(Path(scratch), side, images, objects)
        measurer = _measurer(data, segmenter)
        pictures, prompts = [], []
        for sample in data.samples:
            pictures.append(sample.picture().of(tuple(sample.objects())).decode("stored"))
            settings = PromptSettings()
            prompts.append([make_prompt(each.mask(), ("box",), settings, each.object_id) for each in sample.objects()])

        def hand() -> None:
            for image, asked in zip(pictures, prompts, strict=True):
                by_hand(network, processor, image, [list(prompt.box or ()) for prompt in asked])

        def adapter() -> None:
            for image, asked in zip(pictures, prompts, strict=True):
                segmenter.set_image(image)
                segmenter.predict_many(asked)

        def harness(number: int) -> float:
            with results(Path(scratch) / f"run{number}", data, segmenter) as written:
                loaded = [measurer.prepare(sample, written.done) for sample in data.samples]

                def rows() -> None:
                    for image in loaded:
                        for row in measurer.measure(image):
                            written.append(row)

                spent = seconds(rows)
                assert not any(row.error for row in written.rows.values())
                return spent

        same(network, processor, segmenter, pictures[0], prompts[0])
        rounds = [(seconds(hand), seconds(adapter), harness(number)) for number in range(repeats)]
        hand_least, adapter_least, harness_least = (min(column) for column in zip(*rounds, strict=True))
        return hand_least, adapter_least, harness_least


def same(network: Any, processor: Any, segmenter: Any, image: Any, prompts: list[Prompt]) -> None:
    """Check that both ways give the same masks. This also warms them up."""
    segmenter.set_image(image)
    theirs = by_hand(network, processor, image, [list(prompt.box or ()) for prompt in prompts])
    for mine, mask in zip(segmenter.predict_many(prompts), theirs, strict=True):
        assert np.array_equal(mine.full(), mask.numpy()), "the masks differ"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", default="sam,sam2")
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--images", type=int, default=3)
    parser.add_argument("--objects", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(" ".join(f"{column:>10}" for column in ("family", "px", "hand", "adapter", "ratio", "harness", "ratio")))
    for family in arguments.families.split(","):
        hand, adapter, harness = measure(family, arguments.side, arguments.images, arguments.objects, arguments.repeats)
        cells = (family, arguments.side, f"{hand:.2f}", f"{adapter:.2f}", f"{adapter / hand:.3f}")
        print(" ".join(f"{cell:>10}" for cell in (*cells, f"{harness:.2f}", f"{harness / hand:.3f}")), flush=True)


if __name__ == "__main__":
    main()
