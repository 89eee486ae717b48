"""Results for Cityscapes, judged by cityscapesScripts itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as cityscapes  # noqa: N813
from cityscapesscripts.helpers.labels import id2label, trainId2label

from vss_ros.errors import VssError
from vss_ros.evaluation import export as layouts
from vss_ros.evaluation.export import EXPORTERS, CityscapesExporter, ids_in
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TABLE = load_classes('cityscapes19')
LABEL_IDS = np.array([trainId2label[train_id].id for train_id in range(19)], np.uint8)
FRAMES = ['frankfurt_000000_000294', 'frankfurt_000001_000294', 'munster_000000_000019']


def truth_of(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    train_ids = np.array([id2label[label].trainId for label in range(34)])
    return np.where(train_ids[labels] < 19, train_ids[labels], 255).astype(np.uint8)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, ConfusionMatrix]:
    """Write label ids of all kinds as ground truth and predictions by the exporter; return ours over them."""
    rng = np.random.default_rng(0)
    ours = ConfusionMatrix(19, 255)
    monkeypatch.setattr(layouts, 'SIZE', (32, 64))
    exporter = CityscapesExporter(tmp_path / 'results', TABLE)
    for frame in FRAMES:
        labels = rng.integers(0, 34, (32, 64)).astype(np.uint8)
        city = tmp_path / 'gtFine' / 'val' / frame.split('_')[0]
        city.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(city / f'{frame}_gtFine_labelIds.png'), labels)
        truth = truth_of(labels)
        answer = np.where(rng.random(truth.shape) < 0.7, truth, rng.integers(0, 19, truth.shape)).astype(
            np.uint8
        )
        answer[:2] = 255  # what has no class
        exporter.write(f'{frame.split("_")[0]}/{frame}_leftImg8bit', answer)
        ours.add(truth, answer)
    return tmp_path, ours


def test_cityscapes_scripts_find_the_files_and_count_the_same(
    tree: tuple[Path, ConfusionMatrix], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, ours = tree
    args: Any = cityscapes.CArgs()
    vars(args).update(vars(cityscapes.args))
    args.evalInstLevelScore, args.JSONOutput, args.quiet = False, False, True
    monkeypatch.setenv('CITYSCAPES_RESULTS', str(root / 'results'))
    truths = sorted(str(path) for path in (root / 'gtFine').rglob('*_gtFine_labelIds.png'))
    results = [cityscapes.getPrediction(args, truth) for truth in truths]
    assert len(set(results)) == len(FRAMES)
    scores = cityscapes.evaluateImgLists(results, truths, args)
    theirs = np.array(scores['confMatrix'])[LABEL_IDS]  # rows of labels that are not ignored
    assert theirs[:, LABEL_IDS].tolist() == ours.counts[:, :19].tolist()
    assert (theirs.sum(axis=1) - theirs[:, LABEL_IDS].sum(axis=1)).tolist() == ours.counts[:, 19].tolist()
    names = [id2label[int(label)].name for label in LABEL_IDS]
    assert [scores['classScores'][name] for name in names] == ours.per_class_iou.tolist()
    assert scores['averageScoreClasses'] == ours.miou


def test_our_tables_are_theirs() -> None:
    written = load_classes('cityscapes34')
    assert list(written.names) == [id2label[label].name for label in range(34)]
    assert ids_in(written, TABLE).tolist() == LABEL_IDS.tolist()
    assert list(TABLE.names) == [trainId2label[train_id].name for train_id in range(19)]


def test_masks_are_scaled_to_the_size_the_evaluation_wants(tmp_path: Path) -> None:
    mask = np.zeros((512, 1024), np.uint8)
    mask[10, 20] = 13
    exporter = EXPORTERS['cityscapes'](tmp_path / 'out', TABLE)
    path = exporter.write('ulm_000000_000019', mask)
    assert path == tmp_path / 'out' / 'ulm_000000_000019_pred_labelIds.png'
    written = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert written is not None
    assert written.shape == (1024, 2048)
    assert np.argwhere(written == 26).tolist() == [[20, 40], [20, 41], [21, 40], [21, 41]]
    assert np.count_nonzero(written == 7) == 1024 * 2048 - 4


def test_other_names_and_classes_are_refused(tmp_path: Path) -> None:
    exporter = CityscapesExporter(tmp_path, TABLE)
    for name in ('000012', 'run_3', 'seq1/000100', 'a_b_000000_000019'):
        with pytest.raises(VssError, match='frame of Cityscapes'):
            exporter.write(name, np.zeros((4, 8), np.uint8))
    with pytest.raises(VssError, match='cityscapes34'):
        CityscapesExporter(tmp_path / 'none', load_classes('camvid11'))
    assert not (tmp_path / 'none').exists()
