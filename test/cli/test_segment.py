"""`vss segment` on real inputs: whole results, the same bytes twice, clear errors."""

from __future__ import annotations

import csv
import json
import re
import shutil
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from cityscapesscripts.helpers.labels import labels
from network_files import add, export, plain

from vss_ros.cli.main import main
from vss_ros.cli.segment import LAYOUTS
from vss_ros.evaluation.export import EXPORTERS
from vss_ros.images.classes import load_classes
from vss_ros.images.image_decoding import decode_mask
from vss_ros.images.label_code import colour_code
from vss_ros.recordings.open import open_source
from vss_ros.resources import resource

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

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
    assert (rows[0]['reason'], rows[0]['track']) == ('first', 'fast')
    summary = json.loads((tmp_path / 's.json').read_text())
    assert summary == json.loads((out / 'summary.json').read_text())
    assert summary['frames'] == FRAMES
    assert 0.3 < summary['miou'] <= 1
    assert set(summary['latency_ms']) == {'p50', 'p95', 'p99', 'max'}
    assert {'preprocess', 'high', 'motion', 'propagation', 'head', 'labels'} <= set(summary['parts_ms'])
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
        (['--propagation', 'magic'], 'expected one of: auto, none, '),
        (['--scheduler', 'magic'], 'expected one of: accumulated_deviation, codec_keyframe'),
        (['--model', 'magic'], 'no model card'),
        (['--device', 'cuda:99'], 'device'),
        (['--size', '361x480'], 'multiples of 8'),
        (['--size', 'big'], 'HEIGHTxWIDTH'),
        (['--size', '²x³'], 'HEIGHTxWIDTH'),
        (['--device', 'cpu:²'], 'cuda:N'),
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


def names_of(frames: Path, folder: Path, names: list[str]) -> Path:
    """Copy a folder's first images under other names."""
    folder.mkdir(parents=True)
    for file, name in zip(sorted(frames.iterdir()), names, strict=False):
        shutil.copy(file, folder / f'{name}.png')
    return folder


def exported(frames: Path, out: Path, layout: str, *options: str) -> list[NDArray[np.uint8]]:
    """Segment with ``--export``; returns the masks as class ids, in the order of the frames."""
    arguments = ['segment', str(frames), '-o', str(out), '--no-video', '--export', layout, *options]
    assert main(arguments) == 0
    return [decode_mask(file.read_bytes()) for file in sorted((out / 'masks').iterdir())]


def card_of(tmp_path: Path, classes: str) -> tuple[str, ...]:
    """Add a small network for other classes; returns the options that take it."""
    network = export(plain(channels=len(load_classes(classes))), tmp_path / 'net.onnx')
    return '--model', str(add(network, classes=classes)), '--propagation', 'none', '--size', '48x64'


def test_every_layout_is_offered() -> None:
    assert tuple(EXPORTERS) == LAYOUTS


def test_camvid_layout_is_read_back_by_camvids_own_colours(folder: Path, tmp_path: Path) -> None:
    frames = names_of(folder, tmp_path / 'in', ['0016E5_07959', '0016E5_07961'])
    masks = exported(frames, tmp_path / 'out', 'camvid')
    code = colour_code(load_classes('camvid11'), 'camvid32')
    files = sorted((tmp_path / 'out' / 'camvid').iterdir())
    assert [file.name for file in files] == ['0016E5_07959_L.png', '0016E5_07961_L.png']
    assert all(np.array_equal(code.read(file), mask) for file, mask in zip(files, masks, strict=True))


def test_coco_layout_names_its_ids(folder: Path, tmp_path: Path) -> None:
    frames = names_of(folder, tmp_path / 'in', ['a', 'b'])
    masks = exported(frames, tmp_path / 'out', 'coco')
    listed = json.loads((tmp_path / 'out' / 'coco' / 'categories.json').read_text())['categories']
    assert {entry['id']: entry['name'] for entry in listed} == dict(enumerate(load_classes('camvid11').names))
    for name, mask in zip('ab', masks, strict=True):
        ids = decode_mask((tmp_path / 'out' / 'coco' / f'{name}.png').read_bytes())
        assert np.array_equal(ids, mask)


def test_cityscapes_layout_has_the_benchmarks_label_ids(folder: Path, tmp_path: Path) -> None:
    cities = tmp_path / 'leftImg8bit' / 'val' / 'ulm'
    names_of(folder, cities, ['ulm_000000_000019_leftImg8bit', 'ulm_000000_000020_leftImg8bit'])
    root = tmp_path / 'leftImg8bit'
    masks = exported(root, tmp_path / 'out', 'cityscapes', *card_of(tmp_path, 'cityscapes19'))
    assert len(np.unique(masks)) > 1
    for number, mask in enumerate(masks, 19):
        file = tmp_path / 'out' / 'cityscapes' / f'ulm_000000_{number:06d}_pred_labelIds.png'
        ids = decode_mask(file.read_bytes())
        assert ids.shape == (1024, 2048)
        train_ids = np.array([label.trainId for label in labels[: ids.max() + 1]])[ids]
        scaled = cv2.resize(mask, (2048, 1024), interpolation=cv2.INTER_NEAREST_EXACT)
        assert np.array_equal(train_ids, scaled)


def test_uavid_layout_has_a_folder_for_each_sequence(folder: Path, tmp_path: Path) -> None:
    frames = names_of(folder, tmp_path / 'seq16' / 'Images', ['000000', '000100'])
    masks = exported(frames, tmp_path / 'out', 'uavid', *card_of(tmp_path, 'uavid8'))
    files = sorted((tmp_path / 'out' / 'uavid' / 'seq16' / 'Labels').iterdir())
    assert [file.name for file in files] == ['000000.png', '000100.png']
    code = colour_code(load_classes('uavid8'), 'uavid8')
    assert all(np.array_equal(code.read(file), mask) for file, mask in zip(files, masks, strict=True))


def test_frames_of_a_bag_are_numbered(tmp_path: Path) -> None:
    bag = resource('test', 'data', 'street')
    masks = exported(bag, tmp_path / 'out', 'coco', '--propagation', 'flow_warp', '--interval', '40')
    files = sorted((tmp_path / 'out' / 'coco').glob('*.png'))
    assert [file.name for file in files] == [f'{number:06d}.png' for number in range(len(masks))]


@pytest.mark.parametrize(
    ('layout', 'message'),
    [('uavid', 'expected masks of uavid8'), ('cityscapes', 'expected masks of cityscapes34')],
)
def test_classes_of_another_data_set_are_refused_before_any_frame(
    layout: str, message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['segment', str(folder), '-o', str(tmp_path / 'out'), '--export', layout]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert 'got camvid11' in error
    assert 'frame' not in error, 'no progress bar yet'
    assert not list(tmp_path.iterdir())


def test_frames_that_are_not_cityscapes_leave_nothing_behind(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = card_of(tmp_path, 'cityscapes19')
    arguments = ['segment', str(folder), '-o', str(tmp_path / 'out'), '--export', 'cityscapes', *options]
    assert main(arguments) == 2
    assert 'such as frankfurt_000000_000294_leftImg8bit' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('output', ['', 'images', 'images/out', 'labels'])
def test_input_and_output_are_kept_apart(
    output: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder.parent, tmp_path / 'drive')
    root = tmp_path / 'drive'
    before = sorted(root.rglob('*'))
    (root / 'decisions.csv').touch()
    options = [str(root / 'images'), '--masks', str(root / 'labels'), '-o', str(root / output), '--overwrite']
    assert main(['segment', *options]) == 2
    assert 'expected an output beside the input' in capsys.readouterr().err
    assert sorted(root.rglob('*')) == sorted([*before, root / 'decisions.csv'])


def test_overwriting_replaces_only_what_a_run_wrote(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ['segment', str(folder), '-o', str(tmp_path / 'out'), '--no-video', '--overwrite']
    assert main(command) == main(command) == 0
    (tmp_path / 'out' / 'drive.mp4').write_bytes(b'x')
    assert main(command) == 2
    assert 'holds other files' in capsys.readouterr().err
    assert (tmp_path / 'out' / 'drive.mp4').is_file()


def test_a_full_disk_is_said_in_one_sentence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], small_disk: None
) -> None:
    assert main(['segment', str(folder), '-o', str(tmp_path / 'out'), '--no-video']) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(r'vss: .*\.png cannot be written: File too large; make room there, .*', error)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('option', ['--threshold=inf', '--threshold=-1', '--threads=100000', '--interval=-1'])
def test_a_value_out_of_bounds_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match='2'):
        main(['segment', 'in', '-o', 'out', option])
    assert f'argument {option.partition("=")[0]}: expected ' in capsys.readouterr().err


def test_masks_as_tools_write_them_score_alike(folder: Path, tmp_path: Path) -> None:
    """Void as 255, three equal channels, 16 bits, and twice the size."""
    for way in ('plain', 'wide', 'channels', 'double'):
        (tmp_path / way).mkdir()
    for file in sorted((folder.parent / 'labels').iterdir())[:3]:
        ids = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        assert ids is not None
        ids[:40] = 11
        void = np.where(ids == 11, 255, ids).astype(np.uint8)
        double = np.repeat(np.repeat(ids, 2, 0), 2, 1)
        masks = {
            'plain': ids,
            'wide': void.astype(np.uint16),
            'channels': np.dstack([void] * 3),
            'double': double,
        }
        for way, mask in masks.items():
            cv2.imwrite(str(tmp_path / way / file.name), mask)
    scores = []
    for way in ('plain', 'wide', 'channels', 'double'):
        out, masks_folder = tmp_path / f'{way}_out', str(tmp_path / way)
        assert main(['segment', str(folder), '--masks', masks_folder, '-o', str(out), '--no-video']) == 0
        scores.append(json.loads((out / 'summary.json').read_text())['miou'])
    assert scores == [scores[0]] * 4


def test_where_every_frame_is_refused_the_first_reason_is_given(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / 'wrong'
    wrong.mkdir()
    for file in folder.iterdir():
        cv2.imwrite(str(wrong / file.name), np.zeros((10, 10), np.uint8))
    assert main(['segment', str(folder), '--masks', str(wrong), '-o', str(tmp_path / 'out')]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"none of {FRAMES}, the first because: expected a mask of 0000.png's size (360, 480)" in said
    assert main(['evaluate', str(folder), '--masks', str(wrong), '--json', '-']) == 2
    assert f'none of {FRAMES}, the first because' in capsys.readouterr().out
