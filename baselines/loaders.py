"""How each family's models are made: from weights' files, or None for random numbers in their place, and Options.

Nothing is imported before a model is asked for. What cannot be made raises ModelUnavailable.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from baselines.segmenter import ModelUnavailable, Options, Segmenter

Files = tuple[Path, ...]


def torch_device(options: Options) -> str:
    """cpu or cuda. Raises ModelUnavailable if there is no GPU to use."""
    import torch

    cuda = torch.cuda.is_available()
    if options.device == "cuda" and not cuda:
        raise ModelUnavailable("PyTorch finds no CUDA here; install its CUDA build, or use --device cpu or auto")
    torch.backends.cudnn.allow_tf32 = options.precision != "fp32"  # by default convolutions have 10 bits of mantissa
    return "cuda" if cuda and options.device != "cpu" else "cpu"


@contextmanager
def random_weights() -> Iterator[None]:
    """What networks are filled with inside this block is the same every time, and nobody else's random numbers are."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def load_flip(name: str, files: Files | None, options: Options) -> Segmenter:
    from baselines.flip import FlipSegmenter
    from flip.checkpoint import WeightsBroken
    from flip.prompts import PredictorError

    dtype = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}[options.precision]
    device = torch_device(options)
    try:
        with random_weights():
            weights = files[0] if files else None
            return FlipSegmenter(name, weights, tokens=options.tokens, device=device, dtype=dtype)
    except (WeightsBroken, PredictorError) as error:
        raise ModelUnavailable(str(error)) from error


def load_sam(name: str, files: Files | None, options: Options) -> Segmenter:
    from baselines import sam

    device = torch_device(options)
    with random_weights():
        return sam.load_sam(name, files[0] if files else None, device=device, precision=options.precision)


def load_mobilesam_onnx(parameters: int, files: Files | None, options: Options) -> Segmenter:
    from baselines.onnx_sam import OnnxSam

    if files is None:
        raise ModelUnavailable("mobilesam-onnx is a pair of graphs and cannot be made untrained; fetch its weights")
    return OnnxSam("mobilesam-onnx", *files, parameters=parameters, device=options.device)


def load_fastsam(name: str, size: Literal["s", "x"], files: Files | None, options: Options) -> Segmenter:
    from baselines import fastsam

    device = torch_device(options)
    with random_weights():
        return fastsam.load(name, size, files[0] if files else None, device=device)


def load_mobilesam(files: Files | None, options: Options) -> Segmenter:
    from baselines import ultralytics_sam

    device = torch_device(options)
    with random_weights():
        return ultralytics_sam.load_mobilesam(
            "mobilesam", files[0] if files else None, device=device, precision=options.precision
        )


def load_sam2(name: str, size: str, files: Files | None, options: Options) -> Segmenter:
    from baselines import ultralytics_sam

    device = torch_device(options)
    with random_weights():
        return ultralytics_sam.load_sam2(
            name, size, files[0] if files else None, device=device, precision=options.precision
        )


def load_efficientsam(name: str, parameters: int, files: Files | None, options: Options) -> Segmenter:
    from baselines.efficientsam import EfficientSam

    if files is None:
        raise ModelUnavailable(f"{name} is a pair of graphs and cannot be made untrained; get its weights")
    return EfficientSam(name, *files, parameters=parameters, device=options.device)


def load_grabcut(files: Files | None, options: Options) -> Segmenter:
    from baselines.grabcut import GrabCut

    return GrabCut()


def load_box(files: Files | None, options: Options) -> Segmenter:
    from baselines.trivial import BoxFill

    return BoxFill()


def load_ellipse(files: Files | None, options: Options) -> Segmenter:
    from baselines.trivial import EllipseFill

    return EllipseFill()
