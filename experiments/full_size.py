"""Accuracy from a camera's own images beside that from smaller ones, by the labels of both sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from vss_ros.engine.build import build_segmenter
from vss_ros.engine.frames import Frame
from vss_ros.engine.labels import resize_labels
from vss_ros.engine.options import OFFLINE
from vss_ros.engine.propagation.base import NO_PROPAGATION
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from experiments.accuracy_page import Row
    from vss_ros.datasets.labelled import LabelledImages
    from vss_ros.engine.options import SegmenterConfig

SIZES = ((352, 480), (480, 640), (704, 960))
"""Network inputs for the full images; the small ones take the first two."""
SYSTEMS: dict[str, dict[str, Any]] = {'per frame': {'propagation': NO_PROPAGATION}, 'default': {}}
FRAME_NS = 66_666_667


def both_sizes(small: LabelledImages, full: LabelledImages) -> Iterator[Row]:
    """Yield a row for each size of images and network input; ``full`` has the frames of ``small``, larger.

    The masks are the engine's answers, those of the default in a replay whose slow track is one frame late.
    """
    inputs = [(small, size) for size in SIZES[:2]] + [(full, size) for size in SIZES]
    for video, size in tqdm(inputs, desc='full size', unit='size', leave=False):
        row: Row = {'images': _size(video.images[0].shape), 'input': '{}x{}'.format(*size)}
        for name, options in SYSTEMS.items():
            matrices = _answers(replace(OFFLINE, size=size, **options), video, (small, full))
            for truth, matrix in zip((small, full), matrices, strict=True):
                row[f'{name}, labels {_size(truth.labels[0].shape)}'] = 100 * matrix.miou
        yield row


def _answers(
    config: SegmenterConfig, video: LabelledImages, truths: tuple[LabelledImages, ...]
) -> list[ConfusionMatrix]:
    """Return the confusion matrix of a segmenter's answers with each truth."""
    built = build_segmenter(config)
    table = load_classes(built.card.classes)
    matrices = [ConfusionMatrix(len(table), table.void_id) for _ in truths]
    for index, image in enumerate(video.images):
        answer = built.segmenter.step(Frame(image, index * FRAME_NS, index)).labels
        for matrix, truth in zip(matrices, truths, strict=True):
            labels = truth.labels[index]
            matrix.add(labels, resize_labels(answer, (labels.shape[0], labels.shape[1])))
    built.segmenter.close()
    return matrices


def _size(shape: tuple[int, ...]) -> str:
    return f'{shape[1]}x{shape[0]}'
