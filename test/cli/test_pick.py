"""`vss pick`: what is chosen differs and is uncertain; what is written labelling tools and trainings take."""

from __future__ import annotations

import json
import shutil
import zipfile
from itertools import islice
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from data_trees import write_png

from vss_ros.cli.main import main
from vss_ros.datasets.exported import find_exported
from vss_ros.evaluation.pick import Seen, most_different, write_prelabels
from vss_ros.images.classes import load_classes
from vss_ros.images.image_decoding import decode_mask
from vss_ros.recordings.open import open_source

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TINY = ['--size', '96x128', '--threads', '1']


@pytest.fixture(scope='module')
def drive(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Path:
    """Return 25 frames of which all but the last five are alike."""
    root = tmp_path_factory.mktemp('drive')
    with open_source(project_root / 'test/data/street') as source:
        images = [frame.image for frame, _ in islice(source, 0, 126, 25)]
    for index in range(25):
        small = cv2.resize(images[max(index - 19, 0)], (128, 96), interpolation=cv2.INTER_AREA)
        write_png(root / f'{index:02}.png', np.asarray(small, np.uint8))
    return root


def test_writes_frames_that_differ_with_our_answers(drive: Path, tmp_path: Path) -> None:
    out = tmp_path / 'out'
    assert (
        main(['pick', str(drive), '-n', '5', '-o', str(out), *TINY, '--json', str(tmp_path / 'p.json')]) == 0
    )
    found = json.loads((tmp_path / 'p.json').read_text())
    assert found['looked_at'] == 25
    frames = [row['frame'] for row in found['picked']]
    assert frames == sorted(frames)
    assert len({max(frame - 19, 0) for frame in frames}) == 5  # no picture twice
    names = {path.stem for path in (out / 'images').iterdir()}
    assert names == {row['name'] for row in found['picked']}
    for name in names:
        ids = decode_mask((out / f'prelabels/ids/{name}.png').read_bytes())
        assert ids.shape == (96, 128)
    moved = {row['frame']: row['disagreement'] for row in found['picked']}
    assert max(moved.values()) > 0  # where the picture changed, the answer that was carried along is wrong
    (out / 'prelabels').rename(out / 'corrected')  # as if somebody had looked at them
    (out / 'corrected/ids').rename(out / 'labels')
    assert find_exported(out).table.names == load_classes('camvid11').names
    assert main(['pick', str(drive), '-o', str(out), *TINY]) == 2  # not over what was labelled


def test_few_are_looked_at_of_many(drive: Path, tmp_path: Path) -> None:
    drive = shutil.copytree(drive, tmp_path / 'caf\udce9')  # no UTF-8, which zip files and JSON want
    words = ['pick', str(drive), '-n', '2', '--every', '8', '-o', str(tmp_path / 'out'), *TINY]
    assert main([*words, '--json', str(tmp_path / 'p.json')]) == 0
    found = json.loads((tmp_path / 'p.json').read_text())
    assert found['looked_at'] == 4
    assert all(row['name'].startswith('caf__0000') for row in found['picked'])
    assert {row['frame'] for row in found['picked']} <= {0, 8, 16, 24}
    (last,) = (row for row in found['picked'] if row['frame'] == 24)
    assert last['disagreement'] > 0  # the answer came along from frame 21


def seen(index: int, disagreement: float, *look: float) -> Seen:
    return Seen(index, disagreement, disagreement, np.array(look, np.float32))


def test_unsure_frames_are_taken_first_but_not_twice() -> None:
    frames = [
        seen(0, 0.1, 0, 0),
        seen(1, 0.9, 5, 5),
        seen(2, 0.8, 5, 5.1),
        seen(3, 0.2, 0, 9),
        seen(4, 0, 0, 0.1),
    ]
    assert [one.index for one in most_different(frames, 1)] == [1]
    assert [one.index for one in most_different(frames, 3)] == [0, 1, 3]
    assert len(most_different(frames, 99)) == 5
    nearly = [seen(0, 0.95, 0, 0), seen(1, 0.1, 10, 0), seen(2, 0.8, -9, 0)]
    assert [one.index for one in most_different(nearly, 2)] == [0, 2]  # less unlike than 1, but unsure


def labels() -> NDArray[np.uint8]:
    """Return patches with holes, and patches in these."""
    ids = np.zeros((60, 80), np.uint8)
    ids[10:50, 10:70] = 8
    ids[20:40, 20:60] = 3
    ids[25:35, 25:55] = 8
    ids[:, 75:] = 5
    return ids


@pytest.mark.parametrize('form', ['coco', 'cvat'])
def test_what_tools_import_comes_back_as_it_was(tmp_path: Path, form: str) -> None:
    table = load_classes('camvid11')
    write_prelabels({'a': labels()}, table, tmp_path / 'pre')
    back = tmp_path / 'back'
    write_png(back / 'images/a.png', np.zeros((60, 80, 3), np.uint8))
    if form == 'cvat':
        with zipfile.ZipFile(tmp_path / 'pre/cvat.zip') as archive:
            assert archive.read('ImageSets/Segmentation/default.txt') == b'a\n'
            archive.extractall(back)
    else:
        (tmp_path / 'pre/coco.json').rename(back / 'coco.json')
    found = find_exported(back)
    assert found.table.names == table.names
    ((_, ids),) = found.ids()
    assert np.array_equal(ids, labels())
