"""Results by content: found again, never half, never somebody else's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from evaluation_parts import clip, config

from vss_ros.evaluation.replay.content import PACKAGE, code_digest, code_files
from vss_ros.evaluation.replay.evaluate_bag import failure
from vss_ros.evaluation.replay.input_frames import Inputs
from vss_ros.evaluation.replay.result import Evaluated, InputResult, InputTiming
from vss_ros.evaluation.sweep.store import ResultStore, evaluate_stored, result_key
from vss_ros.files import write_whole
from vss_ros.resources import resource

if TYPE_CHECKING:
    from vss_ros.evaluation.sweep.configuration import EvaluationConfig

pytestmark = pytest.mark.usefixtures('one_thread')
FEW = 3
KEY = 'a' * 64
EVALUATED = Evaluated(InputResult('x', frames=2, metrics={'x': {'0': [[1, 2]]}}), InputTiming((1.5, 2.0)))


@pytest.fixture(scope='module')
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip(tmp_path_factory.mktemp('clip'), FEW)


def stored(path: Path, asked: EvaluationConfig, folder: Path, *more: Any) -> Evaluated:
    with Inputs() as inputs:
        return evaluate_stored(path, asked, folder, *more, inputs=inputs)


def key_of(path: Path, asked: EvaluationConfig) -> str:
    with Inputs() as inputs:
        return result_key(inputs.open(path, asked), asked)


def test_a_changed_digit_counts_as_none(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.save(KEY, EVALUATED)
    file = tmp_path / f'{KEY}.json'
    text = file.read_text()
    assert '[[1, 2]]' in text
    file.write_text(text.replace('[[1, 2]]', '[[1, 3]]'))
    assert store.load(KEY) is None


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / 'store')
    assert store.load(KEY) is None
    store.save(KEY, EVALUATED)
    assert store.load(KEY) == EVALUATED
    assert [path.name for path in store.folder.iterdir()] == [f'{KEY}.json']


@pytest.mark.parametrize('damage', [b'', b'{"result": {}}', b'[1]', b'\xff\xfe', b'[' * 10**5])
def test_a_damaged_file_counts_as_none(damage: bytes, tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    (tmp_path / f'{KEY}.json').write_bytes(damage)
    assert store.load(KEY) is None
    store.save(KEY, EVALUATED)
    assert store.load(KEY) == EVALUATED


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / 'f'
    write_whole(target, b'old')
    with pytest.raises(TypeError):
        write_whole(target, 'no bytes')  # type: ignore[arg-type]
    assert target.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [target]


def test_the_second_time_nothing_is_computed(images: Path, tmp_path: Path) -> None:
    frames: list[None] = []
    first = stored(images, config(), tmp_path, lambda: frames.append(None))
    assert len(frames) == FEW
    moved = Path(shutil.copytree(images.parent, tmp_path / 'elsewhere')) / 'images'
    second = stored(moved, config('another name'), tmp_path, lambda: frames.append(None))
    assert len(frames) == FEW
    assert second.result == replace(first.result, path=str(moved))
    assert second.timing == first.timing


def test_what_was_timed_in_fewer_replays_is_timed_anew(images: Path, tmp_path: Path) -> None:
    frames: list[None] = []
    thrice = replace(config(), repeats=3)
    first, second, third = (
        stored(images, asked, tmp_path, lambda: frames.append(None)) for asked in (config(), thrice, config())
    )
    assert len(frames) == FEW + 3 * FEW
    assert first.result == second.result
    assert [found.timing.replays for found in (first, second, third)] == [1, 3, 3]
    assert third == second
    assert len(list(tmp_path.iterdir())) == 1


def test_failures_are_tried_again(tmp_path: Path) -> None:
    assert stored(tmp_path / 'missing', config(), tmp_path / 'store').result.failed
    (tmp_path / 'empty').mkdir()
    assert stored(tmp_path / 'empty', config(), tmp_path / 'store').result.failed
    assert not (tmp_path / 'store').exists()


def test_a_failure_of_an_input_that_opens_is_not_kept(images: Path, tmp_path: Path) -> None:
    with Inputs() as inputs:
        asked = (images, config(), tmp_path / 'store')
        failed = evaluate_stored(*asked, inputs=inputs, evaluate=lambda path, *_: failure(path, 'no memory'))
        assert (failed.result.failed, failed.result.reason) == (True, 'no memory')
        assert not evaluate_stored(*asked, inputs=inputs).result.failed


def test_the_key_follows_everything_a_result_depends_on(images: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(images.parent, tmp_path / 'c')) / 'images'
    for file in resource('models').glob('efficientnet_lite0_fpn*'):
        shutil.copy(file, tmp_path)
    model = tmp_path / 'efficientnet_lite0_fpn.yaml'
    base = replace(config(), segmenter=replace(config().segmenter, model=str(model)))
    keys = [key_of(own, base)]
    assert key_of(own, replace(base, name='other')) == keys[0]
    keys.append(key_of(own, replace(base, segmenter=replace(base.segmenter, threshold=0.2))))
    keys.append(key_of(own, replace(base, segmenter=replace(base.segmenter, threads=2))))
    keys.append(key_of(own, replace(base, agreement=True)))

    card = tmp_path / 'efficientnet_lite0_fpn.predicted_deviation.yaml'
    values = yaml.safe_load(card.read_text())
    card.write_text(yaml.safe_dump(values | {'scores': {'measured': 'again'}}))
    assert key_of(own, base) == keys[0]
    card.write_text(yaml.safe_dump(values | {'settings': {'threshold': 0.3}}))
    keys.append(key_of(own, base))

    mask = own.parent / 'labels' / '0001.png'
    shutil.copy(own.parent / 'labels' / '0000.png', mask)
    keys.append(key_of(own, base))
    (own / '0002.png').unlink()
    keys.append(key_of(own, base))
    assert len(set(keys)) == len(keys)


def test_the_code_that_decides_is_found_by_its_imports() -> None:
    names = {str(path.relative_to(PACKAGE)) for path in code_files()}
    assert {
        'evaluation/replay/evaluate_bag.py', 'evaluation/replay/scoring.py', 'evaluation/metrics/boundary.py',
        'recordings/camera_bag.py', 'recordings/video_file.py', 'engine/pipeline.py',
        'engine/propagation/flow_warp.py', 'errors.py',
    } <= names  # fmt: skip
    assert not {'evaluation/sweep/summary.py', 'evaluation/sweep/verdict.py', 'cli/evaluate.py'} & names


def test_the_code_of_a_live_run_is_that_of_node_and_player_too() -> None:
    replayed, live = code_files(), code_files(live=True)
    names = {str(path.relative_to(PACKAGE)) for path in live - replayed}
    assert {
        'live/scoring.py', 'live/received.py', 'live/jobs.py', 'live/run.py', 'live/observer.py',
        'live/player.py', 'node/main.py', 'node/segmentation_node.py', 'node/conversions.py',
        'recordings/playback.py',
    } <= names  # fmt: skip
    assert replayed < live
    assert code_digest(live=True) != code_digest()


@pytest.mark.parametrize(
    'file',
    [
        'live/scoring.py',
        pytest.param('node/segmentation_node.py', marks=pytest.mark.slow),
        pytest.param('config/segment.yaml', marks=pytest.mark.slow),
    ],
)
def test_a_change_of_what_only_live_runs_use_changes_their_keys_alone(
    file: str, tmp_path: Path, project_root: Path
) -> None:
    for name in ('vss_ros', 'config'):
        shutil.copytree(project_root / name, tmp_path / name, ignore=shutil.ignore_patterns('__pycache__'))
    shutil.copy(project_root / 'package.xml', tmp_path)  # by which a checkout is known
    before = _digests(tmp_path)
    changed = tmp_path / ('' if file.startswith('config') else 'vss_ros') / file
    changed.write_text(changed.read_text() + '\n# changed\n')
    after = _digests(tmp_path)
    assert (before[0] == after[0], before[1] == after[1]) == (True, False)


def _digests(root: Path) -> list[str]:
    """Return the digests of the code of a replay and of a live run, as a package elsewhere sees them."""
    program = 'from vss_ros.evaluation.sweep.store import code_digest as d; print(d(), d(live=True))'
    done = subprocess.run(
        [sys.executable, '-c', program], cwd=root, env=os.environ | {'PYTHONPATH': str(root)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()
