"""The form of run.json, which describes the run of a results folder."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from objascale.validation import describe_errors


class _Card(BaseModel):
    name: str
    settings: dict[str, Any]


class _Benchmark(BaseModel):
    name: str
    version: int
    sha256: str


class _Dataset(BaseModel):
    name: str
    path: str
    benchmark: _Benchmark | None = None


class _Run(BaseModel):
    """The values that `bench` reads again, of any schema."""

    model_config = ConfigDict(strict=True)

    schema_: int = Field(alias="schema")
    created: str
    dataset: _Dataset
    models: list[_Card]
    prompt: dict[str, Any]
    environment: dict[str, Any]
    exif: str = "stored"


class _RunOfThisSchema(_Run):
    noise: list[float]


def faults_of_run(content: Any, schema: int) -> str:
    """Return which values of a run.json are missing or have another type; empty if none.

    Args:
        content: The decoded file.
        schema: The current schema. A run of another one needs only the values that tell it apart.
    """
    this = isinstance(content, dict) and content.get("schema") == schema
    try:
        (_RunOfThisSchema if this else _Run).model_validate(content)
    except ValidationError as error:
        return describe_errors(error)
    return ""
