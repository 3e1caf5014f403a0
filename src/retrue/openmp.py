"""OpenMP for LightGBM: its library needs libgomp.so.1, which bare machines and slim images lack."""

import ctypes
import importlib.util
from pathlib import Path


def bundled_libgomp() -> Path | None:
    """The libgomp that the scikit-learn wheel brings, or None when it brings none."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        return None
    libs = Path(next(iter(spec.submodule_search_locations))).parent / "scikit_learn.libs"
    return next(iter(sorted(libs.glob("libgomp-*.so*"))), None)


def ensure_openmp(home: Path) -> str | None:
    """A folder to put on LD_LIBRARY_PATH so that `libgomp.so.1` is found.

    Parameters
    ----------
    home : Path
        State folder; the folder made is `home / "lib"`.

    Returns
    -------
    str or None
        None when the machine has libgomp, or when no copy of it can be found.
    """
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        pass
    else:
        return None
    library = bundled_libgomp()
    if library is None:
        return None
    folder = home / "lib"
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "libgomp.so.1"
    # Made anew each time: the environment it points into may have moved.
    link.unlink(missing_ok=True)
    link.symlink_to(library)
    return str(folder)
