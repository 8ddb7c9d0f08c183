"""Common parts of the command lines: error messages, exit codes and shards."""

from __future__ import annotations

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from objascale.interrupts import Terminated
from objascale.terminal import UsageError, errors, fail, parse_shard


def no_space() -> OSError:
    return OSError(28, "No space left on device", "/data/x.png")


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (UsageError("give one of --box and --point"), 2, "error: give one of --box and --point\n"),
        (LookupError("no such model"), 1, "error: no such model\n"),
        (LookupError("no weights\nno package"), 1, "error: no weights\nerror: no package\n"),
        (no_space(), 1, "error: /data/x.png: No space left on device\n"),
        (OSError("cannot identify image file"), 1, "error: cannot identify image file\n"),
        (KeyboardInterrupt(), 130, "error: interrupted; run the same command again to continue\n"),
        (Terminated(), 143, "error: interrupted; run the same command again to continue\n"),
    ],
)
def test_an_error_of_the_user_prints_a_message_and_sets_the_exit_code(error, code, sentence, capsys):
    with pytest.raises(typer.Exit) as ended, errors(LookupError):
        raise error
    assert ended.value.exit_code == code
    assert capsys.readouterr().err == sentence


def test_an_error_of_the_program_is_raised():
    with pytest.raises(ZeroDivisionError), errors(KeyError):
        raise ZeroDivisionError


def test_an_exit_inside_keeps_its_code():
    with pytest.raises(typer.Exit) as ended, errors(LookupError):
        fail("interrupted; nothing was written", 130)
    assert ended.value.exit_code == 130


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_shard_is_parsed_as_i_of_n(number, count):
    if number <= count:
        assert parse_shard(f"{number}/{count}") == (number, count)
    else:
        with pytest.raises(UsageError, match="I/N"):
            parse_shard(f"{number}/{count}")


@pytest.mark.parametrize("text", ["", "1", "0/2", "1/0", "-1/2", "1/2/3", "a/b", "1.0/2", "²/3", " 1/2"])
def test_other_shard_texts_are_errors(text):
    with pytest.raises(UsageError, match="--shard"):
        parse_shard(text)


def test_without_a_shard_there_is_one_of_one():
    assert parse_shard(None) == (1, 1)
