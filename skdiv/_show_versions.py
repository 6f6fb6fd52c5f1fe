"""What runs, for a report of a problem."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from skdiv._compute import kernels
from skdiv._version import __version__

_PACKAGES = ("numpy", "scipy", "scikit-learn", "joblib", "threadpoolctl", "numba", "llvmlite")


def show_versions() -> None:
    """Print the versions of Python and of the packages in use, and the kernel that computes.

    The kernel is ``"numba"`` where Numba can be imported (``pip install numba``), else ``"numpy"``; the
    environment variable ``SKDIV_KERNEL`` sets one of them. Both obey the same bounds of accuracy; their last digits may
    differ.

    Returns
    -------
    None
        The report goes to the standard output.

    Raises
    ------
    ImportError, ValueError
        If ``SKDIV_KERNEL`` asks for a kernel that cannot be had.

    See Also
    --------
    sklearn.show_versions : The same for scikit-learn, with the libraries of threads in use.

    Examples
    --------
    >>> from skdiv import show_versions
    >>> show_versions()  # doctest: +ELLIPSIS
    <BLANKLINE>
    skdiv: ...
    kernel: ...
    """
    kernel = kernels.chosen()
    obstacle = "" if kernel == "numba" else kernels.obstacle_to_numba()
    lines = {
        "skdiv": __version__,
        "kernel": f"{kernel} ({obstacle})" if obstacle else kernel,
        "python": sys.version.replace("\n", " "),
        "machine": platform.platform(),
        **{name: _version(name) for name in _PACKAGES},
    }
    print("", *(f"{name}: {value}" for name, value in lines.items()), sep="\n")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
