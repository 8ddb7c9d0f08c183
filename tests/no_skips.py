"""A pytest plugin: `--no-skips` fails the run if a test is skipped without an entry in `allowed_skips.txt`."""

from __future__ import annotations

from pathlib import Path

import pytest

ALLOWED = Path(__file__).with_name("allowed_skips.txt")
HINT = "to run them on Debian and Ubuntu: apt-get install chromium texlive-latex-recommended sweethome3d-furniture"


def read_allowed(path: Path) -> dict[str, str]:
    """Read the list of allowed skips.

    Args:
        path: A text file with one `NODE_ID: reason` per line. Lines that begin with `#` are comments.

    Returns:
        Reasons by the node id of a test, or of a file or a function that holds several.

    Raises:
        ValueError: A line has no reason.
    """
    allowed = {}
    for line in path.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            node, separator, reason = line.partition(": ")
            if not separator or not reason.strip():
                raise ValueError(f"{path}: give a reason after 'NODE_ID: ' in the line {line!r}")
            allowed[node.strip()] = reason.strip()
    return allowed


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help=f"fail if a test is skipped that {ALLOWED.name} lacks")


def _skipped(reporter: pytest.TerminalReporter) -> list[tuple[str, str]]:
    """Node id and reason of each skipped test, or of each file that was skipped as a whole."""
    return [(report.nodeid, str(report.longrepr)) for report in reporter.stats.get("skipped", [])]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not session.config.getoption("--no-skips") or reporter is None:
        return
    allowed = read_allowed(ALLOWED)
    unexplained = [node for node, _ in _skipped(reporter) if not any(node.startswith(known) for known in allowed)]
    session.config.stash[_UNEXPLAINED] = unexplained
    if unexplained and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


_UNEXPLAINED = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for node in config.stash.get(_UNEXPLAINED, []):
        terminalreporter.write_line(f"error: {node} was skipped, and {ALLOWED.name} does not list it", red=True)
    skipped = _skipped(terminalreporter)
    if skipped and not config.getoption("--no-skips"):
        terminalreporter.write_line(f"{len(skipped)} tests were skipped; {HINT}")
