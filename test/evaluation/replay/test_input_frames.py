"""One input is opened once, and one segmenter is built for each configuration that is run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from evaluation_parts import bag, clip, config, options

from vss_ros.cli.main import main
from vss_ros.engine import build
from vss_ros.evaluation.replay import input_frames
from vss_ros.evaluation.replay.input_frames import Inputs
from vss_ros.recordings import camera_bag

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures('one_thread')
FEW = 3
SWEEP = """
configurations:
  lazy: {propagation: reuse, scheduler: fixed_interval}
  warped: {propagation: flow_warp, scheduler: fixed_interval, track: blocking}
"""


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count bags that are opened, inputs that are hashed and segmenters that are built."""
    found: Counter[str] = Counter()

    def count(module: Any, name: str, word: str) -> None:
        real = getattr(module, name)

        def counting(*args: Any, **kwargs: Any) -> Any:
            found[word] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, counting)

    count(camera_bag, 'open_checked', 'opened')
    count(input_frames, 'content_digest', 'hashed')
    count(build, 'StreamSegmenter', 'built')
    return found


@pytest.mark.parametrize('masks', [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_sweep_opens_each_bag_once_and_builds_each_configuration_once(
    masks: bool, counted: Counter[str], tmp_path: Path
) -> None:
    for name in 'ab':
        bag(clip(tmp_path / name, FEW, masks=masks), tmp_path / 'bags' / name)
    (tmp_path / 'sweep.yaml').write_text(SWEEP)
    counted.clear()
    command = ['evaluate', str(tmp_path / 'bags'), '-o', str(tmp_path / 'out'), *options('--repeats', '2')]
    command += ['--sweep', str(tmp_path / 'sweep.yaml')]
    assert main(command) == 0
    assert counted == {'opened': 2, 'hashed': 2, 'built': 2 * 3}  # two inputs, three configurations
    counted.clear()
    assert main(command) == 0  # all of it from the store
    assert counted == {'opened': 2, 'hashed': 2}


def test_a_single_configuration_is_built_once(counted: Counter[str], tmp_path: Path) -> None:
    made = bag(clip(tmp_path / 'c', FEW), tmp_path / 'bag')
    counted.clear()
    assert main(['evaluate', str(made), *options()]) == 0
    assert counted == {'opened': 1, 'hashed': 1, 'built': 1}


def test_an_input_is_read_again_where_memory_is_short_or_another_was_used(
    counted: Counter[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (bag(clip(tmp_path / name, FEW), tmp_path / f'{name}_bag') for name in 'ab')
    counted.clear()
    with Inputs() as inputs:
        frames = inputs.open(first, config())
        assert [len(list(frames)) for _ in range(3)] == [FEW] * 3
        assert counted == {'opened': 1}
        assert inputs.open(str(first), config('another name')) is frames
        assert inputs.open(first, replace(config(), agreement=True)) is not frames
        inputs.open(second, config())
        assert len(list(frames)) == FEW
        assert counted == {'opened': 4}
        monkeypatch.setattr(input_frames, 'MEMORY_BYTES', 1)
        assert len(list(inputs.open(second, config()))) == len(list(inputs.open(second, config()))) == FEW
        assert counted == {'opened': 5}


def test_no_more_files_stay_open_than_are_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_frames, 'OPEN_AT_ONCE', 2)
    with Inputs() as inputs:
        opened = [inputs.open(clip(tmp_path / name, FEW), config()) for name in 'abcd']
        assert [frames.is_open for frames in opened] == [True, True, False, False]
        assert [len(list(frames)) for frames in opened] == [FEW] * 4
    assert not any(frames.is_open for frames in opened)
