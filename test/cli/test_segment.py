"""`vss segment` on real inputs: whole results, the same bytes twice, clear errors."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from vss_ros.cli.main import main
from vss_ros.recordings.open import open_source
from vss_ros.resources import resource

if TYPE_CHECKING:
    from pathlib import Path

FRAMES = 9


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the clip's first images and their true masks beside it."""
    root = tmp_path_factory.mktemp('clip')
    (root / 'images').mkdir()
    (root / 'labels').mkdir()
    with open_source(resource('test', 'data', 'street')) as source:
        for frame, mask in source:
            if frame.index == FRAMES:
                break
            assert mask is not None
            cv2.imwrite(str(root / 'images' / f'{frame.index:04d}.png'), frame.image[..., ::-1])
            cv2.imwrite(str(root / 'labels' / f'{frame.index:04d}.png'), mask)
    return root / 'images'


def test_segments_a_folder_with_true_masks(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / 'out'
    assert (
        main(['segment', str(folder), '-o', str(out), '--json', str(tmp_path / 's.json'), '--interval', '4'])
        == 0
    )
    masks = sorted((out / 'masks').glob('*.png'))
    assert len(masks) == FRAMES
    first = cv2.imread(str(masks[0]), cv2.IMREAD_UNCHANGED)
    assert first is not None
    assert first.shape == (360, 480)
    assert first.max() < 11
    rows = list(csv.DictReader((out / 'decisions.csv').open()))
    assert len(rows) == FRAMES
    assert (rows[0]['reason'], rows[0]['track']) == ('first', 'full')
    summary = json.loads((tmp_path / 's.json').read_text())
    assert summary == json.loads((out / 'summary.json').read_text())
    assert summary['frames'] == FRAMES
    assert 0.3 < summary['miou'] <= 1
    assert set(summary['latency_ms']) == {'p50', 'p95', 'p99', 'max'}
    assert {'preprocess', 'low', 'high', 'propagation', 'head', 'labels'} <= set(summary['parts_ms'])
    with open_source(out / 'overlay.mp4') as video:
        assert sum(1 for _ in video) == FRAMES
    assert (out / 'timeline.png').stat().st_size > 5000
    assert not list(tmp_path.glob('.out*'))


def test_the_whole_network_on_every_frame_has_a_timeline_too(folder: Path, tmp_path: Path) -> None:
    """No frame has a predicted deviation or a threshold there."""
    out = tmp_path / 'out'
    assert main(['segment', str(folder), '-o', str(out), '--propagation', 'none', '--no-video']) == 0
    assert all(row['is_key_frame'] == 'True' for row in csv.DictReader((out / 'decisions.csv').open()))
    assert (out / 'timeline.png').stat().st_size > 5000


def test_two_runs_give_the_same_masks(folder: Path, tmp_path: Path) -> None:
    def masks(name: str) -> list[bytes]:
        assert (
            main(['segment', str(folder), '-o', str(tmp_path / name), '--no-video', '--slow-delay', '2']) == 0
        )
        return [path.read_bytes() for path in sorted((tmp_path / name / 'masks').iterdir())]

    assert masks('a') == masks('b')


def test_an_existing_folder_is_kept(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'precious').write_text('x')
    assert main(['segment', str(folder), '-o', str(tmp_path / 'out')]) == 2
    assert '--overwrite' in capsys.readouterr().err
    assert (tmp_path / 'out' / 'precious').read_text() == 'x'


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--propagation', 'magic'], 'expected one of: none, '),
        (['--scheduler', 'magic'], 'expected one of: accumulated_deviation, codec_keyframe'),
        (['--model', 'magic'], 'no model card'),
        (['--device', 'cuda:99'], 'device'),
        (['--size', '361x480'], 'multiples of 8'),
        (['--size', 'big'], 'HEIGHTxWIDTH'),
        (['--slow-delay', '0'], '--track blocking'),
        (['--min-interval', '5', '--interval', '2'], 'min_interval'),
    ],
)
def test_nonsense_is_refused_in_one_line(
    options: list[str], message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['segment', str(folder), '-o', str(tmp_path / 'out'), *options]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert 'Traceback' not in error
    assert not list(tmp_path.iterdir())


def test_an_input_without_frames_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'empty').mkdir()
    assert main(['segment', str(tmp_path / 'empty'), '-o', str(tmp_path / 'out')]) == 2
    assert str(tmp_path / 'empty') in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['empty']


def test_damaged_frames_are_left_out_and_the_exit_status_says_so(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / 'broken'
    broken.mkdir()
    for i, path in enumerate(sorted(folder.iterdir())[:4]):
        data = path.read_bytes()
        (broken / path.name).write_bytes(data[: len(data) // 2] if i == 2 else data)
    assert main(['segment', str(broken), '-o', str(tmp_path / 'out'), '--no-video']) == 1
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert (summary['frames'], summary['rejected']) == (3, 1)
    assert len(np.asarray(list((tmp_path / 'out' / 'masks').iterdir()))) == 3
