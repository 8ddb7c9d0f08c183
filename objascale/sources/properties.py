"""Parser of Java's .properties files, as java.util.Properties.load and java.util.ResourceBundle read them."""

from __future__ import annotations

import re

_ENTRY = re.compile(r"((?:\\.|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_CONTROL = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def parse_properties(data: bytes) -> dict[str, str]:
    """Return key → value. The last of equal keys counts. The text is UTF-8, or else Latin-1, as in Java 9 and later."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    entries = (_ENTRY.fullmatch(line) for line in _logical_lines(text))
    return {_unescape(entry[1]): _unescape(entry[2]) for entry in entries if entry}


def _logical_lines(text: str) -> list[str]:
    """Return lines without comments and blanks. An odd number of backslashes at its end joins a line with the next."""
    lines: list[str] = []
    continued = False
    for natural in re.split(r"\r\n|\n|\r", text):
        line = natural.lstrip(" \t\f")
        if not continued and (not line or line[0] in "#!"):
            continue
        backslashes = len(line) - len(line.rstrip("\\"))
        body = line[:-1] if backslashes % 2 else line
        if continued:
            lines[-1] += body
        else:
            lines.append(body)
        continued = bool(backslashes % 2)
    return lines


def _unescape(text: str) -> str:
    def meaning(escape: re.Match[str]) -> str:
        what = escape[1]
        return chr(int(what[1:], 16)) if len(what) == 5 else _CONTROL.get(what, what)

    plain = _ESCAPE.sub(meaning, text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # joins surrogate pairs
