"""One confusion matrix over a whole sequence, and the scores read from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray


def check_classes(classes: int, void_id: int) -> None:
    """Raise ``VssError`` for a void id that is a class id, or does not fit into a byte."""
    if not 1 <= classes <= void_id <= 255:
        raise VssError(f'expected void_id from the number of classes ({classes}) to 255, got {void_id}')


class ConfusionMatrix:
    """Counts of (true class, predicted class) over every pixel added; void truth counts nowhere.

    A prediction outside the classes, void included, is an error of its true class: a model can't gain by
    abstaining.

    Args:
        classes: Number of classes C; ids are 0 to C - 1.
        void_id: True label of pixels to ignore, not a class id.

    Raises:
        VssError: The void id is a class id.
    """

    def __init__(self, classes: int, void_id: int) -> None:
        check_classes(classes, void_id)
        self.classes = classes
        self.void_id = void_id
        self._counts = np.zeros((classes, classes + 1), np.int64)

    @classmethod
    def from_counts(cls, counts: ArrayLike, void_id: int) -> Self:
        """Return a matrix that goes on from another's ``counts``, which may have been lists in a file.

        Raises:
            VssError: The shape is not ``(C, C + 1)``, or as for a new matrix.
        """
        values = np.array(counts, np.int64)
        if values.ndim != 2 or values.shape[1] != values.shape[0] + 1:
            raise VssError(f'expected counts of shape (C, C + 1), got {values.shape}')
        matrix = cls(len(values), void_id)
        matrix._counts = values
        return matrix

    @property
    def counts(self) -> NDArray[np.int64]:
        """Pixels by true class (row) and predicted class (column; the last: no class), ``(C, C + 1)``."""
        return self._counts

    def add(self, truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> None:
        """Count one image.

        Args:
            truth: Class ids and ``void_id``, shape ``(H, W)``.
            prediction: Class ids, the same shape.

        Raises:
            VssError: The shapes differ, or truth holds ids that are neither a class nor void.
        """
        if truth.shape != prediction.shape:
            raise VssError(f'expected a prediction of shape {truth.shape}, got {prediction.shape}')
        columns = self.classes + 1
        valid = truth != self.void_id
        true_ids = truth[valid].astype(np.intp)
        if true_ids.size and int(true_ids.max()) >= self.classes:
            raise VssError(
                f'expected true labels below {self.classes} or {self.void_id} (void), '
                f'got {int(true_ids.max())}; check the class table and the id mapping'
            )
        predicted = np.minimum(prediction[valid], self.classes)
        pairs = np.bincount(true_ids * columns + predicted, minlength=self.classes * columns)
        self._counts += pairs.reshape(self.classes, columns)

    def merge(self, other: ConfusionMatrix) -> None:
        """Add another matrix of the same classes.

        Raises:
            VssError: The classes differ.
        """
        if (other.classes, other.void_id) != (self.classes, self.void_id):
            raise VssError(f'expected a matrix of {self.classes} classes, got one of {other.classes}')
        self._counts += other.counts

    @property
    def per_class_iou(self) -> NDArray[np.float64]:
        """Intersection over union, 0..1, shape ``(C,)``; NaN for a class neither true nor predicted."""
        hits = np.diag(self._counts)
        union = self._counts.sum(axis=1) + self._counts[:, : self.classes].sum(axis=0) - hits
        return _shares(hits, union)

    @property
    def miou(self) -> float:
        """Mean of the classes that occur, 0..1; NaN while nothing was added."""
        return _mean(self.per_class_iou)

    @property
    def pixel_accuracy(self) -> float:
        """Share of right pixels, 0..1; NaN while nothing was added."""
        return float(_shares(np.trace(self._counts), self._counts.sum()))

    @property
    def per_class_accuracy(self) -> NDArray[np.float64]:
        """Share of each true class's pixels that are right, shape ``(C,)``; NaN for a class never true."""
        return _shares(np.diag(self._counts), self._counts.sum(axis=1))

    @property
    def class_accuracy(self) -> float:
        """Mean accuracy of the classes that occur in the truth, 0..1; NaN while nothing was added."""
        return _mean(self.per_class_accuracy)


def _shares(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return part / whole, NaN where the whole is 0."""
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0))


def _mean(scores: NDArray[np.float64]) -> float:
    """Return the mean of the scores that are not NaN, NaN where none is left.

    Added one after the other, as cityscapesScripts does it: NumPy adds in pairs, which may change the last
    digit.
    """
    present = scores[~np.isnan(scores)]
    return float(present.cumsum()[-1]) / present.size if present.size else float('nan')
