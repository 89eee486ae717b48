"""Whether answers are right as often as their confidence says, and what hiding unsure ones does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from vss_ros.evaluation.metrics.base import METRICS, Column, Metric, Naming
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix
from vss_ros.evaluation.rows import rounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from vss_ros.evaluation.metrics.base import ScoredFrame

BINS = 16
"""Of confidence, equally wide."""
KINDS = ('key', 'propagated', 'late')
"""Answers of the whole network itself, carried along over a few frames, and over ``LATE`` or more."""
LATE = 4


@METRICS.register('calibration', paper='Guo et al. 2017')
class CalibrationError(Metric):
    """Expected calibration error: how far confidence is from the share of right answers (Eq. 3), by age.

    Pixels are counted by bins of their confidence. Those without a label, or answered as unknown, are left
    out; of these it says how many there are and how good the rest is.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            'ece', ('calibration', 'ece'), 'calibration error',
            'Mean distance of the confidence from the share of answers that are right.',
            higher_is_better=False,
        ),
        Column(
            'unknown', ('calibration', 'unknown'), 'unknown',
            'Share of the labelled pixels that are answered as unknown (min_confidence).',
            higher_is_better=None,
        ),
        Column(
            'known_miou', ('calibration', 'known_miou'), '{score} of the rest', '{score} of the others.'
        ),
    )  # fmt: skip
    nothing: ClassVar[Mapping[str, Any]] = {'calibration': None}

    def update(self, frame: ScoredFrame) -> None:
        """Count one answered frame."""
        if frame.truth is not None and frame.confidence is not None:
            self.add(frame.age, frame.truth, frame.mask, frame.confidence)

    def add(
        self, age: int, truth: NDArray[np.uint8], mask: NDArray[np.uint8], confidence: NDArray[np.uint8]
    ) -> None:
        """Count one image: ids of truth and answer, and confidence 0..255, ``(H, W)`` each."""
        kind = 0 if age == 0 else 1 if age < LATE else 2
        valid = truth != self.void_id
        bins = confidence[valid] // (256 // BINS)
        true, answered = truth[valid].astype(np.intp), np.minimum(mask[valid], self.classes)
        places = (bins * np.intp(self.classes) + true) * (self.classes + 1) + answered
        shape = (BINS, self.classes, self.classes + 1)
        counts = np.bincount(places, minlength=BINS * shape[1] * shape[2]).reshape(shape)
        known = answered < self.classes
        sure = np.bincount(bins[known], confidence[valid][known], minlength=BINS)
        for number in range(BINS):
            if counts[number].any():
                matrix = ConfusionMatrix.from_counts(counts[number], self.void_id)
                self.matrix(kind * BINS + number).merge(matrix)
                self.sums[f'{kind * BINS + number}'] += int(sure[number])

    def error(self, kinds: Iterable[int] = range(len(KINDS))) -> float:
        """Return the expected calibration error over some of ``KINDS``, by number; NaN without answers."""
        rows = np.array(self._bins(kinds), float)
        pixels = rows[:, 0].sum()
        return float(np.abs(rows[:, 1] - rows[:, 2]).sum() / pixels) if pixels else float('nan')

    def _bins(self, kinds: Iterable[int]) -> list[tuple[int, int, float]]:
        """Return answered pixels, those that are right, and the sum of their confidence, of each bin."""
        found = []
        for number in range(BINS):
            rows = [kind * BINS + number for kind in kinds]
            counts = [self.matrices[row].counts[:, :-1] for row in rows if row in self.matrices]
            sure = sum(self.sums[f'{row}'] for row in rows) / 255
            found.append((sum(int(c.sum()) for c in counts), sum(int(np.trace(c)) for c in counts), sure))
        return found

    def values(self, naming: Naming) -> dict[str, Any]:
        """Return the errors, the bins of the reliability diagram, and what hiding unsure answers does."""
        if naming.score != 'miou' or not self.matrices:  # agreement says nothing of what is right
            return dict(self.nothing)
        whole, by_kind = self._whole(0), {}
        for kind, name in enumerate(KINDS):
            bins = [(sure / n, right / n, n) for n, right, sure in self._bins((kind,)) if n]
            if bins:
                diagram = [[rounded(sure), rounded(right), n] for sure, right, n in bins]
                by_kind[name] = {'ece': rounded(self.error((kind,))), 'bins': diagram}
        unknown = int(whole[:, -1].sum())
        return {
            'calibration': {
                'ece': rounded(self.error()),
                'by_age': by_kind,
                'unknown': rounded(unknown / whole.sum()),
                'known_miou': rounded(_miou(whole, self.void_id)),
                'hiding': [self._hiding(least, whole) for least in range(1, BINS)],
            }
        }

    def _hiding(self, least: int, whole: NDArray[np.int64]) -> dict[str, float | None]:
        """Return what it does to answer as unknown what lies below a bin."""
        kept = self._whole(least)
        errors, left = (int(c[:, :-1].sum() - np.trace(c)) for c in (whole, kept))
        return {
            'min_confidence': least / BINS,
            'unknown': rounded(1 - kept[:, :-1].sum() / whole.sum()),
            'miou': rounded(_miou(kept, self.void_id)),
            'caught': rounded(1 - left / errors) if errors else None,
        }

    def _whole(self, least: int) -> NDArray[np.int64]:
        """Return the counts of all answers from a bin on."""
        kept = [m.counts for number, m in self.matrices.items() if number % BINS >= least]
        return np.asarray(np.sum([np.zeros((self.classes, self.classes + 1), np.int64), *kept], 0))


def _miou(counts: NDArray[np.int64], void_id: int) -> float:
    """Return mIoU of the pixels that have an answer."""
    return ConfusionMatrix.from_counts(counts * np.r_[np.ones(len(counts), int), 0], void_id).miou
