"""Our scores against those of torchmetrics and cityscapesScripts, to the last digit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as cityscapes  # noqa: N813
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassJaccardIndex,
)

from vss_ros.evaluation.metrics.confusion import ConfusionMatrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLASSES, VOID = 19, 255
IMAGES = 5


@pytest.fixture(scope='module')
def pairs() -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Return truths with void and predictions, three of four pixels right; class 18 is never true."""
    rng = np.random.default_rng(0)
    result = []
    for _ in range(IMAGES):
        truth = rng.choice([*range(18), VOID], (48, 64), p=rng.dirichlet(np.ones(19)))
        guess = rng.integers(0, CLASSES, truth.shape)
        prediction = np.where((rng.random(truth.shape) < 0.75) & (truth != VOID), truth, guess)
        result.append((truth.astype(np.uint8), prediction.astype(np.uint8)))
    return result


@pytest.fixture(scope='module')
def ours(pairs: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> ConfusionMatrix:
    matrix = ConfusionMatrix(CLASSES, VOID)
    for truth, prediction in pairs:
        matrix.add(truth, prediction)
    return matrix


def test_torchmetrics(
    pairs: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]], ours: ConfusionMatrix
) -> None:
    counts = MulticlassConfusionMatrix(CLASSES, ignore_index=VOID)
    iou = MulticlassJaccardIndex(CLASSES, average=None, ignore_index=VOID)
    class_accuracy = MulticlassAccuracy(CLASSES, average=None, ignore_index=VOID)
    pixel_accuracy = MulticlassAccuracy(CLASSES, average='micro', ignore_index=VOID)
    for metric in (counts, iou, class_accuracy, pixel_accuracy):
        for truth, prediction in pairs:
            metric.update(torch.from_numpy(prediction).long(), torch.from_numpy(truth).long())
    assert counts.compute().tolist() == ours.counts[:, :CLASSES].tolist()
    # torchmetrics divides in float32: rounded to that, ours are the same to the bit.
    assert iou.compute().tolist() == ours.per_class_iou.astype(np.float32).tolist()
    seen = ours.counts.sum(axis=1) > 0
    assert not seen[18]
    assert seen[:18].all()
    assert class_accuracy.compute()[:18].tolist() == ours.per_class_accuracy[:18].astype(np.float32).tolist()
    assert pixel_accuracy.compute().item() == np.float32(ours.pixel_accuracy)


def test_cityscapes_scripts_formulas(ours: ConfusionMatrix) -> None:
    """The same counts, at the ids of the labels, give the same IoUs and the same mean in float64."""
    args = cityscapes.args
    counts = cityscapes.generateMatrix(args)
    ids = [cityscapes.trainId2label[train_id].id for train_id in range(CLASSES)]
    counts[np.ix_(ids, ids)] = ours.counts[:, :CLASSES]
    scores = {label: cityscapes.getIouScoreForLabel(label, counts, args) for label in ids}
    assert list(scores.values()) == ours.per_class_iou.tolist()
    assert cityscapes.getScoreAverage(scores, args) == ours.miou
