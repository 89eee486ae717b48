"""How well a mask's class boundaries lie where the true ones do."""

from __future__ import annotations

from math import ceil, hypot
from typing import TYPE_CHECKING, Any

import numpy as np

from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.base import METRICS, Column, Metric, Naming
from vss_ros.evaluation.rows import rounded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from numpy.typing import NDArray

    from vss_ros.evaluation.metrics.base import ScoredFrame

DIAGONAL_SHARE = 0.0075
"""The tolerance of Csurka et al. 2013 (and of the Berkeley benchmark): 0.75 % of the image's diagonal."""
NO_CLASS = 255


@METRICS.register('boundary_f', paper='Csurka et al. 2013')
class BoundaryFScore(Metric):
    """F-score of each class's boundary pixels within a tolerance (Csurka et al. 2013; Martin et al. 2004).

    A boundary pixel of class c is a pixel of c beside (left, right, above, below) a pixel of something else;
    neither the image's border nor that of void truth is one. Precision is the share of predicted boundary
    pixels of c at most the tolerance away from a true one of c, recall the share of true ones that near a
    predicted one (Euclidean distance between pixel centres), F their harmonic mean. Pixels of void truth
    are left out; a prediction outside the classes bounds the classes beside it.

    Decision: pixels are counted over the whole data set before dividing, as the confusion matrix does, where
    Csurka et al. average over images: so results merge exactly, and an image with three pixels of a class
    does not weigh as much as one full of it.
    """

    columns = (
        Column(
            'boundary_f', ('boundary_f', 'mean'), 'boundary F',
            'F-score of class boundaries, right where the other boundary is within the tolerance.',
            short=('boundary', 'F %'),
        ),
    )  # fmt: skip

    def __init__(self, classes: int, void_id: int, tolerance: float = DIAGONAL_SHARE) -> None:
        """Start empty.

        Args:
            classes: Number of classes C.
            void_id: True label of pixels to ignore.
            tolerance: From 1 in pixels; below 1 a share of each image's diagonal, rounded up to whole pixels
                (the rule of the DAVIS benchmark's code). State it with every score: F grows with it.

        Raises:
            VssError: The tolerance is not above 0, or the void id is a class id.
        """
        if not 0 < tolerance < 1000:
            raise VssError(f'expected a tolerance above 0: a share below 1 or pixels from 1, got {tolerance}')
        super().__init__(classes, void_id)
        self.tolerance = tolerance
        self._tolerance_px = 0.0
        self._counts = np.zeros((classes, 4), np.int64)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return a score that goes on from what ``to_dict`` gave."""
        score = cls(values['classes'], values['void_id'], values['tolerance'])
        score._counts, score._tolerance_px = np.array(values['counts'], np.int64), values['tolerance_px']
        return score

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain values for JSON."""
        return {
            'classes': self.classes, 'void_id': self.void_id, 'tolerance': self.tolerance,
            'tolerance_px': self._tolerance_px, 'counts': self._counts.tolist(),
        }  # fmt: skip

    def update(self, frame: ScoredFrame) -> None:
        """Count one answered frame."""
        if frame.truth is not None:
            self.add(frame.truth, frame.mask)

    def values(self, naming: Naming) -> dict[str, Any]:
        """Return the score by class and its mean, with the tolerance in pixels."""
        by_class = zip(naming.classes, self.per_class, strict=True)
        return {
            'boundary_f': {
                'tolerance_px': self.tolerance_px,
                'mean': rounded(self.mean),
                'per_class': {name: rounded(score) for name, score in by_class},
            }
        }

    @property
    def counts(self) -> NDArray[np.int64]:
        """By class: predicted boundary pixels, those matched, true ones, those matched, ``(C, 4)``."""
        return self._counts

    @property
    def tolerance_px(self) -> float:
        """The tolerance in pixels, of the largest image added; 0 while a share has seen none."""
        return self.tolerance if self.tolerance >= 1 else self._tolerance_px

    def add(self, truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> None:
        """Count one image.

        Args:
            truth: Class ids and ``void_id``, shape ``(H, W)``.
            prediction: Class ids, the same shape.

        Raises:
            VssError: The shapes differ.
        """
        if truth.shape != prediction.shape:
            raise VssError(f'expected a prediction of shape {truth.shape}, got {prediction.shape}')
        share = self.tolerance
        pixels = share if share >= 1 else float(ceil(share * hypot(*truth.shape)))
        self._tolerance_px = max(self._tolerance_px, pixels)
        valid = truth != self.void_id
        true = _boundary_ids(truth, valid, self.classes)
        predicted = _boundary_ids(prediction, valid, self.classes)
        counted = (
            predicted[predicted != NO_CLASS], _near(predicted, true, pixels),
            true[true != NO_CLASS], _near(true, predicted, pixels),
        )  # fmt: skip
        self._counts += np.stack([np.bincount(ids, minlength=self.classes) for ids in counted], axis=1)

    def merge(self, other: Self) -> None:
        """Add the counts of other images.

        Raises:
            VssError: Classes or tolerance differ.
        """
        mine, others = ((each.classes, each.void_id, each.tolerance) for each in (self, other))
        if mine != others:
            raise VssError(
                f'expected a score of the same classes, void id and tolerance {mine}, got {others}'
            )
        self._counts += other.counts
        self._tolerance_px = max(self._tolerance_px, other._tolerance_px)

    @property
    def per_class(self) -> NDArray[np.float64]:
        """F-score of each class, 0..1, shape ``(C,)``; NaN for a class with neither kind of boundary."""
        predicted, hits, true, found = self._counts.T
        # 2PR / (P + R) with P = hits / predicted and R = found / true, without a division by zero inside.
        above = 2.0 * hits * found
        below = hits * true + found * predicted
        scores = np.divide(above, below, out=np.zeros(self.classes), where=below > 0)
        return np.where(predicted + true > 0, scores, np.nan)

    @property
    def mean(self) -> float:
        """Mean over the classes that have a boundary, 0..1; NaN while there is none."""
        scores = self.per_class
        return float(np.nanmean(scores)) if not np.isnan(scores).all() else float('nan')


def _boundary_ids(labels: NDArray[np.uint8], valid: NDArray[np.bool_], classes: int) -> NDArray[np.uint8]:
    """Return each boundary pixel's class, ``NO_CLASS`` elsewhere; boundaries lie between valid pixels."""
    edge = np.zeros(labels.shape, np.bool_)
    for edges, ids, known in ((edge, labels, valid), (edge.T, labels.T, valid.T)):
        down = (ids[1:] != ids[:-1]) & known[1:] & known[:-1]
        edges[1:] |= down
        edges[:-1] |= down
    return np.where(edge & (labels < classes), labels, NO_CLASS).astype(np.uint8)


def _near(ids: NDArray[np.uint8], targets: NDArray[np.uint8], distance: float) -> NDArray[np.uint8]:
    """Return the ids of those boundary pixels that have a target of their id at most ``distance`` away.

    Looked for from the nearest cell outwards, all classes at once, and only by pixels that have found none:
    a distance transform of each class takes ten times as long.
    """
    reach = int(distance)
    offsets = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1).astype(np.intp)
    squares = (offsets**2).sum(0)
    width = ids.shape[1] + 2 * reach
    steps = offsets[0] * width + offsets[1]
    inside = np.pad(ids, reach, constant_values=NO_CLASS).ravel()
    around = np.pad(targets, reach, constant_values=NO_CLASS).ravel()
    lonely = np.flatnonzero(inside != NO_CLASS)
    found = []
    for step in steps[np.argsort(squares, kind='stable')][: np.count_nonzero(squares <= distance**2)]:
        hit = around[lonely + step] == inside[lonely]
        found.append(inside[lonely[hit]])
        lonely = lonely[~hit]
    return np.concatenate(found)
