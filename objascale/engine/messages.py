"""Messages between the program and its worker processes: dataclasses, each sent as one line of JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from objascale.records import AnnotationRow, CropRequest, CropRow, RenderRequest

Request = RenderRequest | CropRequest


@dataclass(frozen=True)
class Ready:
    """First message of a worker: it can take requests."""

    device: str


@dataclass(frozen=True)
class Rendered:
    """The picture is written."""

    annotations: list[AnnotationRow]


@dataclass(frozen=True)
class CropsRendered:
    """The crops are written. A view that shows too little of the object has no row.

    Attributes:
        crops: The rows.
        seconds: Time that they took.
    """

    crops: list[CropRow]
    seconds: float


@dataclass(frozen=True)
class Refused:
    """The request cannot be met; others can.

    Attributes:
        kind: A key of `refusal.REASONS`.
        message: One sentence that names the file or the object.
        details: Text for a bug report, such as a traceback.
        object_sha256: See `refusal.Refusal`.
    """

    kind: str
    message: str
    details: str = ""
    object_sha256: str = ""


@dataclass(frozen=True)
class Failed:
    """No request can be met."""

    fatal: str


Reply = Rendered | CropsRendered | Refused
Message = Ready | Reply | Failed

_REQUEST: TypeAdapter[Any] = TypeAdapter(Request)
_MESSAGE: TypeAdapter[Any] = TypeAdapter(Message)


def encode_request(request: Request) -> str:
    """Return a request as a line of JSON, without its end."""
    return str(_REQUEST.dump_json(request), "utf-8")


def decode_request(line: str) -> Request:
    """Restore a request from its line."""
    request: Request = _REQUEST.validate_json(line)
    return request


def encode_message(message: Message) -> str:
    """Return a message of a worker as a line of JSON, without its end."""
    return str(_MESSAGE.dump_json(message), "utf-8")


def decode_message(line: str) -> Message:
    """Restore a message of a worker from its line."""
    message: Message = _MESSAGE.validate_json(line)
    return message
