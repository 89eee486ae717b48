from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from vss_ros.cli.main import main
from vss_ros.recordings.open import open_source
from vss_ros.resources import resource

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """CamVid's layout with five small images."""
    (tmp_path / 'val').mkdir()
    (tmp_path / 'valannot').mkdir()
    for i in range(5):
        cv2.imwrite(str(tmp_path / 'val' / f'{i}.png'), np.full((48, 64, 3), 50 * i, np.uint8))
        cv2.imwrite(str(tmp_path / 'valannot' / f'{i}.png'), np.full((48, 64), i, np.uint8))
    return tmp_path / 'val'


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('codec', ['jpeg', 'png', 'raw'])
def test_make_and_info(
    camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], codec: str, storage: str
) -> None:
    bag = tmp_path / 'bag'
    made, told = tmp_path / 'made.json', tmp_path / 'info.json'
    options = ['--format', codec, '--storage', storage, '--fps', '10', '--json', str(made)]
    assert main(['bag', 'make', str(camvid), '-o', str(bag), *options]) == 0
    suffix = '' if codec == 'raw' else '/compressed'
    wanted = {f'/camera/image_raw{suffix}': 5, '/camera/camera_info': 5, f'/camera/mask{suffix}': 5}
    assert json.loads(made.read_text()) == {
        'bag': str(bag),
        'messages': wanted,
        'rejected': 0,
        'partial': None,
    }
    with open_source(bag) as source:
        for i, (frame, mask) in enumerate(source):
            assert frame.stamp_ns == 10**9 + i * 10**8
            assert np.abs(frame.image.astype(int) - 50 * i).max() <= 2
            assert mask is not None
            assert (mask == i).all()
    capsys.readouterr()
    assert main(['bag', 'info', str(bag), '--json', str(told)]) == 0
    assert '/camera/camera_info' in capsys.readouterr().out
    info = json.loads(told.read_text())
    assert {topic['topic']: topic['messages'] for topic in info['topics']} == wanted
    assert info['duration_s'] == pytest.approx(0.4)
    assert info['size_bytes'] > 0


def test_a_bag_of_a_bag_keeps_its_stamps(camvid: Path, tmp_path: Path) -> None:
    assert main(['bag', 'make', str(camvid), '-o', str(tmp_path / 'a'), '--format', 'png']) == 0
    options = ['--topic', '/front/image', '--format', 'raw']
    assert main(['bag', 'make', str(tmp_path / 'a'), '-o', str(tmp_path / 'b'), *options]) == 0
    with open_source(tmp_path / 'a') as first, open_source(tmp_path / 'b') as second:
        for (frame, mask), (copy, copied_mask) in zip(first, second, strict=True):
            assert frame.stamp_ns == copy.stamp_ns
            assert np.array_equal(frame.image, copy.image)
            assert mask is not None
            assert copied_mask is not None
            assert np.array_equal(mask, copied_mask)


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['bag', 'make', 'nowhere', '-o', 'x'], 'does not exist'),
        (['bag', 'info', 'nowhere'], 'expected a readable rosbag2 bag'),
        (['bag', 'make', '{val}', '-o', '{val}'], 'beside the input'),
        (['bag', 'make', '{val}', '-o', '{val}_new', '--quality', '0'], '--quality'),
        (['bag', 'make', '{val}', '-o', '{val}_new', '--fps', '-3'], 'frame rate'),
    ],
)
def test_errors_are_one_line_and_code_2(
    camvid: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main([argument.format(val=camvid) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.count('\n') == 1
    assert said in captured.err
    assert not camvid.with_name('val_new').exists()


def test_all_frames_damaged_is_an_error_and_leaves_nothing(camvid: Path, tmp_path: Path) -> None:
    for file in camvid.iterdir():
        file.write_bytes(b'x')
    assert main(['bag', 'make', str(camvid), '-o', str(tmp_path / 'bag')]) == 2
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ['val', 'valannot']


def test_a_frame_left_out_makes_a_part(camvid: Path, tmp_path: Path) -> None:
    first, *others = sorted(camvid.iterdir())
    first.write_bytes(b'x')
    assert main(['bag', 'make', str(camvid), '-o', str(tmp_path / 'bag')]) == 1
    with open_source(tmp_path / 'bag') as source:
        assert len([*source]) == len(others)


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (['--help'], ['bag', '--help'], ['bag', 'make', '--help'], ['bag', 'info', '--help']):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
        assert 'vss bag make' in capsys.readouterr().out


def test_bag_starts_without_torch_and_ros() -> None:
    script = (
        'import sys; from vss_ros.cli.main import main\n'
        'main(["bag", "info", "nowhere"])\n'
        'print([m for m in ("torch", "rclpy", "av", "matplotlib") if m in sys.modules])'
    )
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'


def test_interrupt_is_130(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr('vss_ros.cli.bag.open_checked', interrupted)
    assert main(['bag', 'info', str(tmp_path)]) == 130


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_full_disk_leaves_no_bag(
    storage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], small_disk: None
) -> None:
    source = str(resource('test', 'data', 'street'))
    assert main(['bag', 'make', source, '-o', str(tmp_path / 'bag'), '--storage', storage]) == 2
    assert 'cannot be written' in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_a_bag_is_not_made_of_itself_nor_in_place_of_other_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = tmp_path / 'bag'
    assert main(['bag', 'make', str(resource('test', 'data', 'street')), '-o', str(bag)]) == 0
    before = {file.name: file.read_bytes() for file in bag.iterdir()}
    for source in (bag, bag / 'bag.mcap'):
        for target in (bag, bag / 'bag.mcap', tmp_path):
            assert main(['bag', 'make', str(source), '-o', str(target), '--overwrite']) == 2
            assert 'expected an output beside the input' in capsys.readouterr().err
    (bag / 'notes.txt').write_text('x')
    assert main(['bag', 'make', str(resource('test', 'data', 'street')), '-o', str(bag), '--overwrite']) == 2
    assert 'got notes.txt' in capsys.readouterr().err
    (bag / 'notes.txt').unlink()
    assert {file.name: file.read_bytes() for file in bag.iterdir()} == before
