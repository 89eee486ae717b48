"""Mean IoU and the other figures of one confusion matrix over all frames that have a truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from vss_ros.evaluation.metrics.base import METRICS, Column, Metric, Naming
from vss_ros.evaluation.rows import rounded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vss_ros.evaluation.metrics.base import ScoredFrame


@METRICS.register('accuracy')
class Accuracy(Metric):
    """mIoU, pixel and class accuracy over all frames at once."""

    columns = (
        Column(
            'score', ('score',), '{score}',
            'Mean over the classes of intersection over union with the truth, one confusion matrix over all '
            'labelled frames.',
            short=('', '{score} %'),
        ),
        Column(
            'class_accuracy', ('class_accuracy',), 'class accuracy',
            'Mean over the classes of the share of pixels found.',
        ),
    )  # fmt: skip
    nothing: ClassVar[Mapping[str, Any]] = {
        'miou': None, 'pixel_accuracy': None, 'class_accuracy': None, 'per_class_iou': {},
    }  # fmt: skip

    def update(self, frame: ScoredFrame) -> None:
        """Count one answered frame."""
        if frame.confusion is not None:
            self.confusion.merge(frame.confusion)

    def values(self, naming: Naming) -> dict[str, Any]:
        """Return ``miou`` or ``agreement``, the accuracies, IoU by class and the matrix itself."""
        matrix = self.confusion
        ious = zip(naming.classes, matrix.per_class_iou, strict=True)
        return {
            naming.score: rounded(matrix.miou),
            'pixel_accuracy': rounded(matrix.pixel_accuracy),
            'class_accuracy': rounded(matrix.class_accuracy),
            'per_class_iou': {name: rounded(iou) for name, iou in ious},
            'confusion': matrix.counts.tolist(),
        }
