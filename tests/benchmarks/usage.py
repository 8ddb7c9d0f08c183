"""Processor time of a benchmark."""

from __future__ import annotations

import psutil


def cpu() -> float:
    """CPU seconds of this process, of its children and of theirs, such as the workers of a fork server."""
    own = psutil.Process()
    times = [process.cpu_times() for process in (own, *own.children(recursive=True))]
    return sum(each.user + each.system + each.children_user + each.children_system for each in times)
