"""Milliseconds of one drag step of `bench serve`, and their ratio to the bare model.

    python tests/benchmarks/serve.py [--model flip-tiny] [--weights DIR] [--rounds 40]

A drag step is a question over HTTP on this machine: the prompt as JSON, the model, the mask as RLE and outline, and its
IoU. Prompts are ellipses that move by a pixel each time, on a noisy picture with a disc. The bare model predicts the
same prompts in the same process. Times are medians of rounds in which both take turns, so that other load affects both
equally; `CPU` is the processor time of a drag step, of all threads.
"""

from __future__ import annotations

# ruff: noqa: E402
from objascale.cores import wait_passively

wait_passively()  # before NumPy and PyTorch are loaded

import argparse
import json
import time
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from threading import Thread

import cv2
import numpy as np

from baselines.registry import find_model, load
from baselines.segmenter import Options
from bench.serve.drawn import Drawn
from bench.serve.server import Server, make_service
from bench.weights import obtain_weights


def picture(side: int, radius: float) -> bytes:
    """Return a PNG of a red disc in the middle of noise."""
    rng = np.random.default_rng(0)
    pixels = cv2.resize(rng.integers(0, 255, (side // 8, side // 8, 3), np.uint8), (side, side))
    cv2.circle(pixels, (side // 2, side // 2), round(radius), (40, 40, 220), cv2.FILLED)
    return cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def main() -> None:
    """Print a line for each size of picture and object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="flip-tiny")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--rounds", type=int, default=40)
    given = parser.parse_args()
    found = obtain_weights([find_model(given.model)], given.weights)
    name = found.models[0].name
    service = make_service(found, Options("cpu"))
    bare = load(found.models[0], found.files[name], Options("cpu"))
    server = Server(service)
    thread = Thread(target=server.run)
    thread.start()
    print(f"{'picture':>8} {'object':>8} {'bare ms':>8} {'step ms':>8} {'CPU ms':>8} {'ratio':>6}")
    for side, radius in ((1024, 16), (1024, 100), (8192, 16), (8192, 400)):
        identity = service.pictures.add(picture(side, radius), "disc.png")
        bare.set_image(service.pictures.get(identity).pixels)
        connection = HTTPConnection("127.0.0.1", server.port)
        times: list[tuple[float, float, float]] = []
        for number in range(given.rounds + 3):
            drawn = Drawn(kind="ellipse", ellipse=(side / 2 + number % 9, side / 2, 1.1 * radius, 0.9 * radius, number))
            question = {"page": "x", "model": name, "picture": identity, "drawn": drawn.model_dump(exclude_none=True)}
            start = time.perf_counter()
            bare.predict(drawn.prompt(bare.accepts, (side, side)))
            middle, busy = time.perf_counter(), time.process_time()
            connection.request("POST", "/api/predict", json.dumps(question), {"content-type": "application/json"})
            answer = json.load(connection.getresponse())
            times.append((middle - start, time.perf_counter() - middle, time.process_time() - busy))
            assert "rle" in answer, answer
        model, step, cpu = (1000 * median(each) for each in zip(*times[3:], strict=True))
        print(f"{side:8} {2 * radius:5} px {model:8.1f} {step:8.1f} {cpu:8.1f} {step / model:6.2f}")
        connection.close()
    server.stop()
    thread.join()


if __name__ == "__main__":
    main()
