"""The addresses of the server, and what each answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from bench.serve.answers import picture_json, prediction_json
from bench.serve.changes import Changes
from bench.serve.drawn import Drawn
from bench.serve.guard import BodyTooLarge
from bench.serve.models import ModelError, Overtaken, Question, Worker
from bench.serve.pictures import MAX_PICTURE_BYTES, MAX_PIXELS, PictureRefused, Pictures
from bench.serve.tiles import TILE_SIDE, NoTile
from objascale.masks import MaskError, RegionMask
from objascale.validation import describe_errors

STATIC = Path(__file__).parent / "static"
UPLOAD = "/api/pictures"
BODY_LIMITS = {UPLOAD: MAX_PICTURE_BYTES}
MAX_SAMPLES_PER_CALL = 200

_STATUS: dict[type[Exception], int] = {
    PictureRefused: 400,
    MaskError: 400,
    NoTile: 404,
    Overtaken: 409,
    BodyTooLarge: 413,
    ModelError: 422,
}


class Ask(BaseModel):
    """A question of the page to a model.

    Attributes:
        page: A random name of the page.
        model: Name of the model.
        picture: Id of the picture.
        changes: Changes of the picture.
        drawn: The prompt.
        truth: Number of the true object that the mask is compared with.
        patches: Whether to answer with FLIP's patches.
    """

    model_config = ConfigDict(extra="forbid")

    page: Annotated[str, Field(max_length=64)]
    model: str
    picture: str
    changes: Changes = Changes()
    drawn: Drawn
    truth: int | None = None
    patches: bool = False


class Rle(BaseModel):
    """A mask as COCO RLE."""

    model_config = ConfigDict(extra="forbid")

    size: tuple[Annotated[int, Field(ge=1, le=MAX_PIXELS)], Annotated[int, Field(ge=1, le=MAX_PIXELS)]]
    counts: str


@dataclass(frozen=True)
class Service:
    """The answers to the page's requests.

    Attributes:
        workers: The models by name.
        pictures: The pictures.
        first: Id of the picture that the page opens with; None for none.
    """

    workers: Mapping[str, Worker]
    pictures: Pictures
    first: str | None = None

    def close(self) -> None:
        """End the models."""
        for worker in self.workers.values():
            worker.close()

    async def state(self, request: Request) -> Response:
        """Return the models and how far they are, and the data set."""
        dataset = self.pictures.dataset
        return JSONResponse(
            {
                "models": [
                    {
                        "name": name,
                        "family": worker.model.family,
                        "prompts": list(worker.accepts),
                        "patches": worker.model.takes_tokens,
                        "state": worker.state,
                        "problem": worker.problem,
                    }
                    for name, worker in self.workers.items()
                ],
                "dataset": dataset and {"name": dataset.path.name, "pictures": len(dataset.samples)},
                "first": self.first,
                "tile": TILE_SIDE,
                "max_bytes": MAX_PICTURE_BYTES,
            }
        )

    async def samples(self, request: Request) -> Response:
        """Return ids and names of pictures of the data set."""
        first, count = (_number(request.query_params.get(name, "0")) for name in ("first", "count"))
        names = await run_in_threadpool(self.pictures.names, first, min(count, MAX_SAMPLES_PER_CALL))
        return JSONResponse([{"id": identity, "name": name} for identity, name in names])

    async def thumbnail(self, request: Request) -> Response:
        """Return a small picture."""
        content = await run_in_threadpool(self.pictures.thumbnail, request.path_params["picture"])
        return Response(content, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    async def upload(self, request: Request) -> Response:
        """Take a picture of the user, and describe it."""
        content = await request.body()
        name = unquote(request.headers.get("x-name", ""))
        identity = await run_in_threadpool(self.pictures.add, content, name)
        return JSONResponse(picture_json(identity, await run_in_threadpool(self.pictures.get, identity)))

    async def picture(self, request: Request) -> Response:
        """Describe a picture with its changes."""
        identity, changes = request.path_params["picture"], _changes(request)
        picture = await run_in_threadpool(self.pictures.get, identity, changes)
        return JSONResponse(await run_in_threadpool(picture_json, identity, picture))

    async def tile(self, request: Request) -> Response:
        """Return a tile of a picture with its changes."""
        at = request.path_params
        changes = _changes(request)

        def make() -> tuple[bytes, str]:
            return self.pictures.get(at["picture"], changes).pyramid.tile(at["level"], at["column"], at["row"])

        content, media = await run_in_threadpool(make)
        return Response(content, media_type=media, headers={"cache-control": "private, max-age=3600"})

    async def predict(self, request: Request) -> Response:
        """Ask a model."""
        ask = Ask.model_validate_json(await request.body())
        if ask.model not in self.workers:
            raise HTTPException(404, f"no model here is called {ask.model!r}")
        picture = await run_in_threadpool(self.pictures.get, ask.picture, ask.changes)
        question = Question(ask.page, (ask.picture, ask.changes), picture.pixels, ask.drawn, patches=ask.patches)
        prediction = await asyncio.wrap_future(self.workers[ask.model].ask(question))
        truths = picture.truths
        truth = truths[ask.truth] if ask.truth is not None and 0 <= ask.truth < len(truths) else None
        return JSONResponse(
            await run_in_threadpool(prediction_json, ask.model, prediction, picture, truth, ask.changes)
        )

    async def png(self, request: Request) -> Response:
        """Return a mask, given as COCO RLE, as PNG: 255 on the object, 0 elsewhere."""
        rle = Rle.model_validate_json(await request.body())
        if rle.size[0] * rle.size[1] > MAX_PIXELS:
            raise MaskError(f"the mask has more than {MAX_PIXELS:,} pixels")

        def encode() -> bytes:
            mask = RegionMask.from_rle(rle.model_dump())
            return cv2.imencode(".png", 255 * mask.full().astype(np.uint8))[1].tobytes()

        return Response(await run_in_threadpool(encode), media_type="image/png")


def make_app(service: Service) -> Starlette:
    """Return the application, without its `Guard`."""

    async def index(request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    return Starlette(
        routes=[
            Route("/", index),
            Route("/api/state", service.state),
            Route("/api/samples", service.samples),
            Route("/api/thumbnails/{picture}", service.thumbnail),
            Route(UPLOAD, service.upload, methods=["POST"]),
            Route("/api/pictures/{picture}", service.picture),
            Route("/api/tiles/{picture}/{level:int}/{column:int}/{row:int}", service.tile),
            Route("/api/predict", service.predict, methods=["POST"]),
            Route("/api/png", service.png, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        exception_handlers={
            HTTPException: _http_error,
            ValidationError: _invalid,
            **dict.fromkeys(_STATUS, _known_error),
        },
    )


def _changes(request: Request) -> Changes:
    """Return the changes in the query of a request."""
    return Changes.model_validate(dict(request.query_params))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        raise HTTPException(400, f"{text[:40]!r} is no number")
    return int(text)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)
    return JSONResponse({"error": describe_errors(error)}, 400)


async def _known_error(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error) or "a newer question came"}, _STATUS[type(error)])
