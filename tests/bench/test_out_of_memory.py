"""An object that exceeds the GPU memory costs one row, and the run continues."""

from __future__ import annotations

import pandas as pd
import torch

from baselines.sam import TorchSam
from baselines.torch_loading import network_card
from baselines.torchvision_cpu import prepare_torchvision
from bench.measurer import Measurer
from bench.prompts import PromptSettings
from bench.results import open_results
from bench.runner import run
from bench.selection import EVERYTHING
from objascale.datasets.formats import open_dataset


def test_an_out_of_memory_error_costs_one_row_and_the_run_continues(discs, tmp_path):
    prepare_torchvision()
    from segment_anything.build_sam import _build_sam

    network = _build_sam(32, 1, 2, [0])
    calls = []

    def full_now_and_then(*_):
        calls.append(1)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    network.mask_decoder.register_forward_pre_hook(full_now_and_then)
    model = TorchSam(network, network_card("small", "SAM", network, None))
    dataset = open_dataset(discs(3))
    description = {"created": "now", "dataset": {"name": dataset.name}, "models": [{"name": "small"}], "prompt": {}}
    with open_results(tmp_path / "out", description, dataset) as results:
        run(Measurer(dataset, [model], [PromptSettings()], EVERYTHING), dataset.samples, results)
    rows = pd.read_parquet(tmp_path / "out/results.parquet").sort_values("image_id")
    assert rows["error"].isna().tolist() == [True, False, True]
    assert rows["error"].iloc[1].startswith("OutOfMemory: small has too little GPU memory to decode a prompt")
    assert rows["untrained"].all()
