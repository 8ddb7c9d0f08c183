"""Parts that all command lines share: the application class, errors, shards and consoles."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperArgument, TyperCommand, TyperGroup

from objascale.cores import wait_passively
from objascale.interrupts import exit_code, raise_on_sigterm

_METAVARS = {
    "<path>": "PATH",
    "<list[Path]>": "PATH",
    "<int>": "N",
    "<int range>": "N",
    "<float>": "NUMBER",
    "<float range>": "NUMBER",
    "<str>": "TEXT",
    "<list[str]>": "TEXT",
    "<bool>": "",  # a flag takes no value
}
_TABLE_WIDTH = 160  # characters; a choice that all tables fit


class UsageError(ValueError):
    """Options that contradict each other, or an option that cannot be parsed."""


@contextmanager
def errors(*expected: type[Exception]) -> Iterator[None]:
    """End the command with a sentence, and no traceback, for errors that a user can cause.

    `UsageError` gives exit code 2, Ctrl-C 130, SIGTERM 143, and everything else 1.

    Args:
        expected: Exceptions that end the command, besides `UsageError`, `OSError` and `KeyboardInterrupt`.
    """
    try:
        yield
    except UsageError as error:
        fail(str(error), 2)
    except expected as error:
        fail(str(error))
    except KeyboardInterrupt as interrupt:
        fail_interrupted(interrupt)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error))


def fail(message: str, code: int = 1) -> NoReturn:
    """Print each line of a message as an error and end the command with an exit code."""
    for line in message.splitlines():
        complain(Text.assemble(("error:", "red"), f" {line}"))
    raise typer.Exit(code)


def fail_interrupted(
    interrupt: KeyboardInterrupt, message: str = "interrupted; run the same command again to continue"
) -> NoReturn:
    """End the command with an error message after Ctrl-C (exit code 130) or SIGTERM (143)."""
    fail(message, exit_code(interrupt))


def complain(message: str | Text) -> None:
    """Print a line on standard error, above the bar if there is one."""
    text = Text(message) if isinstance(message, str) else message
    Console(stderr=True).print(text, soft_wrap=True)


def parse_shard(text: str | None) -> tuple[int, int]:
    """Parse the value of --shard: "3/8" is (3, 8), the third of eight parts, and None is (1, 1), the whole.

    Raises:
        UsageError: If the text is not I/N with 1 ≤ I ≤ N.
    """
    if text is None:
        return 1, 1
    found = re.fullmatch(r"(\d+)/(\d+)", text, re.ASCII)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"--shard {text} should be I/N with I from 1 to N, such as 3/8")
    return int(found[1]), int(found[2])


def console() -> Console:
    """Return a console on standard output, wide enough for tables where that is not a terminal."""
    here = Console()
    return here if here.is_terminal else Console(width=_TABLE_WIDTH)


def _print_version(given: bool) -> None:
    if given:
        print(f"objascale-suite {importlib.metadata.version('objascale-suite')}")
        raise typer.Exit


def _shared_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


class App(typer.Typer):
    """A command line with `--version`, whose help names values as PATH, N, NUMBER and TEXT.

    Its commands wait passively; see `objascale.cores.wait_passively`.

    Args:
        help: Purpose of the command line, in one sentence.
    """

    def __init__(self, help: str) -> None:
        super().__init__(cls=_Group, help=help, no_args_is_help=True, pretty_exceptions_enable=False)
        self.callback()(_shared_options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command of the process's arguments."""
        wait_passively()
        return super().__call__(*args, **kwargs)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """Register a command, as `typer.Typer.command` does."""
        return super().command(name, cls=_Command, **options)


_typed_options: ContextVar[dict[str, str]] = ContextVar("typed options")


def refuse_idle(need: str, *parameters: str) -> None:
    """Refuse options that do nothing with the others.

    Args:
        need: The option that they need, such as "--timing".
        parameters: Names of the command's parameters, such as "warmup".

    Raises:
        UsageError: One of them was typed.
    """
    typed = _typed_options.get({})
    if idle := [typed[name] for name in parameters if name in typed]:
        raise UsageError(f"{' and '.join(idle)} {'do' if len(idle) > 1 else 'does'} nothing without {need}")


class _Command(TyperCommand):
    def invoke(self, ctx: Any) -> Any:
        """Run the command, and note which options were typed, for `refuse_idle`."""
        typed = {
            param.name: param.opts[0]
            for param in self.params
            if param.name and getattr(ctx.get_parameter_source(param.name), "name", "") == "COMMANDLINE"
        }
        token = _typed_options.set(typed)
        try:
            return super().invoke(ctx)
        finally:
            _typed_options.reset(token)

    def get_params(self, ctx: Any) -> list[Any]:
        return _with_metavars(super().get_params(ctx), ctx)


class _Group(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            with raise_on_sigterm():
                return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            fail_interrupted(interrupt)

    def get_params(self, ctx: Any) -> list[Any]:
        return _with_metavars(super().get_params(ctx), ctx)


def _with_metavars(params: list[Any], ctx: Any) -> list[Any]:
    for param in params:
        if isinstance(param, TyperArgument):
            param.display_type_rich = lambda ctx: None  # type: ignore[method-assign]  # the name is shown beside it
            if param.nargs == 1:
                param.metavar = param.metavar or param.name.upper()
        elif param.metavar is None:
            shown = param.display_type(ctx)
            param.metavar = _METAVARS.get(shown, shown.strip("<>"))
    return params
