"""Import packages that only some functions need."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def optional(module: str, purpose: str) -> Any:
    """Import a module of an optional package; ``purpose`` begins the message if the package is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(f"{purpose}, and {package} is not installed; install {package}.") from error
