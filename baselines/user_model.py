"""Models that are classes of a user, FILE.py:CLASS or PACKAGE.MODULE:CLASS, or plug-ins of an installed package.

A class needs `set_image(image)` and `predict(prompt)`. Everything else of `Segmenter` has a default. The file runs
because the user has named it. Nothing else is executed, except what the file itself imports.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from baselines.model import Files, Model, UnknownModel
from baselines.segmenter import Options
from baselines.user_segmenter import DEFAULT_ACCEPTS, METHODS, UserSegmenter, completed, lacking, training_of
from objascale.files import file_sha256
from objascale.plugins import Plugin

_NAME = re.compile(r"[\w.+-]+")


@dataclass(frozen=True)
class Code:
    """A loaded module and the SHA-256 of its source file."""

    module: ModuleType
    sha256: str
    name: str  # of the file or of the top-level package: the family of the model


def is_class_name(name: str) -> bool:
    """Whether a name of the command line has the form FILE.py:CLASS or PACKAGE.MODULE:CLASS, or forgets the class."""
    return ":" in name or name.endswith(".py")


def find_class(address: str) -> Model:
    """Load the code of FILE.py:CLASS or PACKAGE.MODULE:CLASS, and describe the class.

    Instead of a class, the code may have a `Model`.

    Raises:
        UnknownModel: There is no such file, module or class, the code raises an exception, or the class is no model.
    """
    place, _, attribute = address.rpartition(":")
    if not place or not attribute or address.endswith(".py"):
        raise UnknownModel(f"{address} names no class; write FILE.py:CLASS or PACKAGE.MODULE:CLASS")
    if place.endswith(".py"):
        path = Path(place).absolute()
        code, address = run_file(path), f"{path}:{attribute}"
    elif "/" in place:
        raise UnknownModel(f"{place} is not a Python file; write FILE.py:CLASS")
    else:
        code = run_module(place)
    try:
        target = getattr(code.module, attribute)
    except AttributeError:
        models = [name for name, value in vars(code.module).items() if isinstance(value, type) and not lacking(value)]
        hint = f"it has {', '.join(models)}" if models else f"it has no class with {' and '.join(METHODS)}"
        raise UnknownModel(f"{place} has no class {attribute}; {hint}") from None
    return describe_target(target, address, code)


def find_plugin(plugin: Plugin) -> Model:
    """Return the model of a plug-in, a class or a `Model`, under the plug-in's name. Raises PluginBroken."""
    target = plugin.load()
    try:
        model = describe_target(target, plugin.name, run_module(plugin.entry.module), plugin.name)
    except UnknownModel as error:
        raise plugin.broken(str(error)) from error
    return replace(model, package=plugin.package)


def run_file(path: Path) -> Code:
    """Run a Python file as a module. A file that has not changed runs once in a process.

    The file's folder is appended to `sys.path`, so that the file can import its neighbours.

    Raises:
        UnknownModel: The file cannot be read, or it raises an exception.
    """
    try:
        source = path.read_bytes()
    except OSError as error:
        raise UnknownModel(f"{path} cannot be read ({error.strerror}); correct the path before the colon") from None
    digest = hashlib.sha256(source).hexdigest()
    name = f"{path.stem}_{hashlib.sha256(bytes(path) + source).hexdigest()[:16]}"
    if name not in sys.modules:
        module = ModuleType(name)
        module.__file__ = str(path)
        sys.modules[name] = module
        if str(path.parent) not in sys.path:
            sys.path.append(str(path.parent))
        try:
            exec(compile(source, path, "exec"), vars(module))
        except (Exception, SystemExit) as error:  # a user's file may raise anything
            del sys.modules[name]
            raise UnknownModel(f"{path} cannot be run: {_sentence(error, str(path))}") from error
    return Code(sys.modules[name], digest, path.name)


def run_module(name: str) -> Code:
    """Import a module from the installed packages and $PYTHONPATH.

    Raises:
        UnknownModel: There is no such module, it raises an exception, or it has no file.
    """
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise UnknownModel(
                f"there is no Python module {name}; install it, or write its file: {name.replace('.', '/')}.py:CLASS"
            ) from None
        raise UnknownModel(f"the module {name} cannot be imported: {_sentence(error)}") from error
    except (Exception, SystemExit) as error:  # a user's module may raise anything
        raise UnknownModel(f"the module {name} cannot be imported: {_sentence(error)}") from error
    if not getattr(module, "__file__", None):
        raise UnknownModel(f"{name} is a folder and not a module; write PACKAGE.MODULE:CLASS")
    return Code(module, file_sha256(Path(str(module.__file__))), name.partition(".")[0])


def describe_target(target: object, address: str, code: Code, name: str = "") -> Model:
    """Return the `Model` of a class, or of a `Model` that the code has.

    Args:
        target: The class or the `Model`.
        address: The name by which another process finds it.
        code: The code that defines or imports it.
        name: Its name in results; that of the class or of the `Model` if empty.

    Raises:
        UnknownModel: It is neither, or the class lacks a method or has an impossible name.
    """
    sha256 = _defining_sha256(target, code)
    if isinstance(target, Model):
        load, name = target.load, name or target.name
        return replace(
            target,
            name=name,
            load=lambda files, options: completed(load(files, options), name, code.name, {"code_sha256": sha256}),
            address=address,
            own_code=True,
        )
    if not isinstance(target, type):
        raise UnknownModel(f"{address} is an object of type {type(target).__name__}, not a class")
    if lacks := lacking(target):
        raise UnknownModel(f"{address} lacks {' and '.join(lacks)}; docs/adding.md describes what a model needs")
    given = getattr(target, "name", None)
    name = name or (given if isinstance(given, str) else target.__name__)
    if not _NAME.fullmatch(name):
        raise UnknownModel(f"{address} has the name {name!r}; a name has letters, digits and . + - _ only")
    parameters, accepts = getattr(target, "parameters", None), getattr(target, "accepts", DEFAULT_ACCEPTS)
    return Model(
        name=name,
        family=code.name,
        parameters=parameters if isinstance(parameters, int) else None,
        prompts=accepts if isinstance(accepts, tuple) else DEFAULT_ACCEPTS,
        licence="–",
        load=_loader(target, name, code, sha256),
        encodes_image=True,  # unknown, so @crop is allowed
        training=training_of(target, address),
        address=address,
        own_code=True,
    )


def _loader(target: type, name: str, code: Code, sha256: str) -> Callable[[Files | None, Options], UserSegmenter]:
    def load(files: Files | None, options: Options) -> UserSegmenter:
        settings = _constructor_options(target, options)
        return completed(target(**settings), name, code.name, {**settings, "code_sha256": sha256})

    return load


def _constructor_options(target: type, options: Options) -> dict[str, Any]:
    """Return device and precision, each if the constructor takes it. Raises ModelUnavailable without the GPU."""
    try:
        taken = inspect.signature(target).parameters
    except (TypeError, ValueError):  # a class of an extension module
        return {}
    given: dict[str, Any] = {"precision": options.precision} if "precision" in taken else {}
    if "device" in taken:
        from baselines.torch_loading import torch_device

        given["device"] = torch_device(options)
    return given


def _defining_sha256(target: object, code: Code) -> str:
    """Return the SHA-256 of the file that defines a class, which may differ from the module that names it."""
    module = sys.modules.get(getattr(target, "__module__", "")) if isinstance(target, type) else None
    file = getattr(module, "__file__", None)
    return code.sha256 if module is code.module or not file else file_sha256(Path(file))


def _sentence(error: BaseException, file: str = "") -> str:
    """Return an exception in one line, with the line number in `file` where it arose."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{text} (line {lines[-1]})" if lines else text
