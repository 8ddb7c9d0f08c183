"""Values by key, within a limit of size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

V = TypeVar("V")


class Cache(Generic[V]):
    """Keeps the values that were used last. Several threads that ask for the same key make its value once.

    Args:
        limit: Largest sum of the sizes. The value used last stays even if it is larger.
        size: Returns the size of a value.
    """

    def __init__(self, limit: float, size: Callable[[V], float] = lambda value: 1) -> None:
        self._limit, self._size = limit, size
        self._values: OrderedDict[Hashable, Future[V]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """Return the value of a key, made if it is missing. An error of `make` is raised and not kept."""
        with self._lock:
            known = self._values.get(key)
            future = known or self._values.setdefault(key, Future())
            self._values.move_to_end(key)
        if known is not None:
            return known.result()
        try:
            future.set_result(make())
        except BaseException as error:
            with self._lock:
                self._values.pop(key, None)
            future.set_exception(error)
            raise
        self._shrink()
        return future.result()

    def __contains__(self, key: Hashable) -> bool:
        """Whether the value of a key is there or being made."""
        with self._lock:
            return key in self._values

    def _shrink(self) -> None:
        with self._lock:
            done = {key: self._size(each.result()) for key, each in self._values.items() if each.done()}
            total = sum(done.values())
            for key in list(done)[:-1]:
                if total <= self._limit:
                    break
                total -= done[key]
                del self._values[key]
