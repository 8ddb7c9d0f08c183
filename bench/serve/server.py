"""Starts the server: models, pictures, guard, and uvicorn."""

from __future__ import annotations

import socket
from pathlib import Path

import uvicorn

from baselines.segmenter import Options
from bench.serve.app import BODY_LIMITS, Service, make_app
from bench.serve.guard import Guard, is_loopback, new_token
from bench.serve.models import Worker
from bench.serve.pictures import Pictures
from bench.weights import FoundWeights
from objascale.datasets import Dataset
from objascale.terminal import UsageError

DEFAULT_PORT = 8765
SAMPLE = Path(__file__).parent / "sample" / "annotations.json"
"""A data set of four pictures in COCO's format."""


def make_service(
    found: FoundWeights, options: Options, dataset: Dataset | None = None, picture: Path | None = None
) -> Service:
    """Start the models and read the picture that is named, or else the first one of the data set.

    Raises:
        PictureRefused: The picture cannot be read.
        OSError: The file cannot be read.
    """
    pictures = Pictures(dataset)
    first = "0" if dataset is not None and len(dataset.samples) else None
    if picture is not None:
        first = pictures.add(picture.read_bytes(), picture.name)
    workers = {model.name: Worker(model, found.files[model.name], options) for model in found.models}
    return Service(workers, pictures, first)


class Server:
    """A server that listens. `address` is what a browser opens.

    Args:
        service: Models and pictures.
        host: Address to listen at. One that other machines reach needs a token.
        port: The port; None for DEFAULT_PORT, or a free one if that is taken.

    Raises:
        UsageError: The address or the port cannot be had.
    """

    def __init__(self, service: Service, host: str = "127.0.0.1", port: int | None = None) -> None:
        self._socket = _listen(host, port)
        self.port = self._socket.getsockname()[1]
        self.token = None if is_loopback(host) else new_token()
        guard = Guard(make_app(service), host=host, port=self.port, token=self.token, limits=BODY_LIMITS)
        self._server = uvicorn.Server(
            uvicorn.Config(guard, log_level="warning", timeout_graceful_shutdown=1, ws="none", server_header=False)
        )
        name = socket.gethostname() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        self.address = f"http://{name}:{self.port}/" + (f"?token={self.token}" if self.token else "")

    def run(self) -> None:
        """Answer requests until `stop` or Ctrl-C."""
        self._server.run(sockets=[self._socket])

    def close(self) -> None:
        """Give the port back, of a server that does not run."""
        self._socket.close()

    def stop(self) -> None:
        """End `run`, from another thread."""
        self._server.should_exit = True


def _listen(host: str, port: int | None) -> socket.socket:
    ports = [DEFAULT_PORT, 0] if port is None else [port]
    for each in ports:
        try:
            return socket.create_server((host, each), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            problem = error.strerror
    if port is None:
        raise UsageError(f"cannot listen at --host {host} ({problem}); give an address of this machine")
    raise UsageError(f"cannot listen at port {port} of {host} ({problem}); give another --port")
