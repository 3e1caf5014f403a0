"""LightGBM's C library by ctypes: its Python package would bring numpy and scipy into the image."""

import ctypes
import os
from array import array
from importlib.util import find_spec
from pathlib import Path

from retrue.errors import BundleError
from retrue.serving.bundle import Bundle
from retrue.serving.calibration import calibrate
from retrue.serving.encoding import encode, n_columns
from retrue.serving.links import has_log_link

# C_API_DTYPE_FLOAT64, row-major and C_API_PREDICT_*, from LightGBM's c_api.h.
_FLOAT64, _ROW_MAJOR = 1, 1
_NORMAL, _RAW_SCORE, _CONTRIBUTIONS = 0, 1, 3
# One thread: a request is small, its siblings use the other cores, and the bits are the same.
_PARAMETERS = b"num_threads=1"


def _library_path() -> Path:
    spec = find_spec("lightgbm")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for name in ("lib_lightgbm.so", "lib_lightgbm.dylib"):
            if (file := Path(folder, "lib", name)).exists():
                return file
    raise BundleError(
        "LightGBM's shared library", "none", "lightgbm/lib", "install the serving requirements"
    )


class Booster:
    """A loaded model; scores have the bits of `lightgbm.Booster.predict`.

    Parameters
    ----------
    model : bytes
        The model as text. LightGBM kills the process over some damaged texts: check the hash,
        and load in a child process first (`self_check`).
    n_features : int
        How many columns the rows have.
    n_classes : int
        How many scores a row has: 1, but for several classes.

    Raises
    ------
    BundleError
        LightGBM refuses the text, or the model has other numbers of columns or scores.
    """

    def __init__(self, model: bytes, n_features: int, n_classes: int = 1) -> None:
        path = os.fspath(_library_path())
        self._n_features = n_features
        self._n_classes = n_classes
        self.has_log_link = has_log_link(model)
        self._parallel = ctypes.CDLL(path)
        # PyDLL keeps the interpreter lock: for a call of 10 us, giving it up costs more than the
        # call, and the thread that writes the log would take it for longer.
        self._held = ctypes.PyDLL(path)
        self._parallel.LGBM_GetLastError.restype = ctypes.c_char_p
        # Two handles: a single row never waits for a lock that a large batch holds.
        self._batch = self._load(model)
        self._single = self._fast_config(self._load(model))
        self._predict_single = self._held.LGBM_BoosterPredictForMatSingleRowFast
        self._predict_single.argtypes = [ctypes.c_void_p] * 4
        # Where LightGBM writes how many scores it gave: always one, so all calls may share it.
        self._one = ctypes.byref(ctypes.c_int64())

    def _load(self, model: bytes) -> ctypes.c_void_p:
        handle, iterations, count = ctypes.c_void_p(), ctypes.c_int(), ctypes.c_int()
        text = ctypes.c_char_p(model)
        self._call("LoadModelFromString", text, ctypes.byref(iterations), ctypes.byref(handle))
        self._call("GetNumFeature", handle, ctypes.byref(count))
        if count.value != self._n_features:
            raise _refused(f"{self._n_features} features", f"{count.value} features")
        self._call("GetNumClasses", handle, ctypes.byref(count))
        if count.value != self._n_classes:
            raise _refused(f"{self._n_classes} scores a row", f"{count.value}")
        return handle

    def _fast_config(self, handle: ctypes.c_void_p) -> ctypes.c_void_p:
        config = ctypes.c_void_p()
        self._call(
            "PredictForMatSingleRowFastInit",
            handle,
            _NORMAL,
            0,
            -1,
            _FLOAT64,
            ctypes.c_int32(self._n_features),
            ctypes.c_char_p(_PARAMETERS),
            ctypes.byref(config),
        )
        return config

    def predict(self, matrix: "array[float]") -> list[float] | list[list[float]]:
        """Score rows; safe from many threads.

        Parameters
        ----------
        matrix : array of float64
            Row-major, shape (n, n_features).

        Returns
        -------
        list
            n scores, or n lists of one score a class.
        """
        n_rows = self._count_rows(matrix)
        if n_rows == 0:
            return []
        if n_rows == 1 and self._n_classes == 1:
            address, score = matrix.buffer_info()[0], ctypes.c_double()
            if self._predict_single(self._single, address, self._one, ctypes.byref(score)):
                raise self._failure()
            return [score.value]
        flat = self._predict_batch(matrix, n_rows, _NORMAL, self._n_classes)
        return flat if self._n_classes == 1 else _chunks(flat, self._n_classes)

    def explain(self, matrix: "array[float]") -> tuple[list[list[float]], list[list[list[float]]]]:
        """Split the margins of rows into contributions (TreeSHAP, Lundberg et al. 2020).

        Returns
        -------
        margins : list
            n lists of one margin a class (one in all for a single score): the sum of the trees,
            before any link or calibration.
        contributions : list
            For each row and class one value a column and, last, the value without any of them;
            their sum is the margin.
        """
        n_rows, k, width = self._count_rows(matrix), self._n_classes, self._n_features + 1
        margins = self._predict_batch(matrix, n_rows, _RAW_SCORE, k)
        flat = self._predict_batch(matrix, n_rows, _CONTRIBUTIONS, k * width)
        return _chunks(margins, k), [_chunks(row, width) for row in _chunks(flat, k * width)]

    def _count_rows(self, matrix: "array[float]") -> int:
        n_rows, rest = divmod(len(matrix), self._n_features)
        if rest or matrix.typecode != "d":
            raise ValueError(f"float64 rows of {self._n_features} values wanted")
        return n_rows

    def _predict_batch(
        self, matrix: "array[float]", n_rows: int, kind: int, width: int
    ) -> list[float]:
        values = array("d", bytes(8 * n_rows * width))
        self._call(
            "PredictForMat",
            self._batch,
            ctypes.c_void_p(matrix.buffer_info()[0]),
            _FLOAT64,
            ctypes.c_int32(n_rows),
            ctypes.c_int32(self._n_features),
            _ROW_MAJOR,
            kind,
            0,
            -1,
            ctypes.c_char_p(_PARAMETERS),
            ctypes.byref(ctypes.c_int64()),
            ctypes.c_void_p(values.buffer_info()[0]),
        )
        return values.tolist()

    def _call(self, name: str, *arguments: object) -> None:
        if getattr(self._parallel, f"LGBM_Booster{name}")(*arguments):
            raise self._failure()

    def _failure(self) -> BundleError:
        text = self._parallel.LGBM_GetLastError() or b"no reason given"
        return _refused("a model LightGBM can use", text.decode(errors="replace"))


def _chunks(flat: list[float], size: int) -> list[list[float]]:
    return [flat[start : start + size] for start in range(0, len(flat), size)]


def self_check(bundle: Bundle) -> Booster:
    """Load the bundle's model and score its golden rows.

    Returns
    -------
    Booster
        The loaded model, proven to give the golden scores bit for bit.

    Raises
    ------
    BundleError
        LightGBM refuses the model or a golden score differs.
    """
    features = bundle.signature.features
    n_classes = len(bundle.signature.classes) or 1
    booster = Booster(bundle.model, n_columns(features), n_classes)
    scores = booster.predict(encode(bundle.golden.rows, features))
    scores = calibrate(scores, bundle.signature.calibration)
    for number, (found, expected) in enumerate(zip(scores, bundle.golden.scores, strict=True)):
        if found != expected:
            raise _refused(f"golden score {expected!r} for row {number}", repr(found))
    return booster


def _refused(expected: str, found: str) -> BundleError:
    return BundleError(expected, found, "model.txt", "train the bundle again")
