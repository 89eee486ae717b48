"""`vss evaluate --live`: the real node in a process of its own, over real DDS, on whatever machine this is.

How many images are answered is the machine's affair. That every one is accounted for, and that those which
are answered get the very score of a replay, is ours.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')

from evaluation_parts import bag, clip, config, options

from vss_ros.cli.main import main
from vss_ros.errors import VssError
from vss_ros.evaluation.replay.evaluate_bag import evaluate_bag
from vss_ros.live.jobs import evaluate_live, settings_of
from vss_ros.live.run import Child
from vss_ros.recordings.bags import HEADER_TOPIC, open_bag

if TYPE_CHECKING:
    from pathlib import Path

FRAMES = 8
# Live, auto would be OpenVINO: a replay's reference gives the same scores only by the same runtime.
PER_FRAME = options('--propagation', 'none', '--runtime', 'torch', '--precision', 'f32')


def evaluate(out: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Run `vss evaluate --live`; returns the exit status and the JSON."""
    status = main(['evaluate', *words, '--live', '-o', str(out), '--json', str(out) + '.json'])
    return status, json.loads((out.parent / f'{out.name}.json').read_text())


def answered(result: dict[str, Any]) -> set[int]:
    return {row['frame_index'] for row in result['decisions']}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return clip(tmp_path / 'clip', frames=FRAMES)


def test_each_answer_has_the_score_of_a_replay_and_a_stopped_run_goes_on(
    ros_domain: dict[str, str], images: Path, tmp_path: Path
) -> None:
    played, out = bag(images, tmp_path / 'street'), tmp_path / 'out'
    status, result = evaluate(out, str(played), *PER_FRAME)
    assert status == 0
    assert (result['live'], result['rate'], result['truth']) == (True, 1.0, 'masks')
    assert result['frames'] + sum(result['drops'].values()) == FRAMES
    # With the whole network on every frame an answer depends on its image alone.
    replayed = evaluate_bag(played, config(propagation='none')).result
    scores = {row.frame_index: row.score for row in replayed.rows}
    assert {row['frame_index']: row['score'] for row in result['decisions']} == {
        index: scores[index] for index in answered(result)
    }
    assert result['streaming']['labelled'] == FRAMES
    assert result['streaming']['misses'] >= 1
    assert len(result['inputs'][0]['latency_ms']) == result['frames']
    assert 0 < result['latency_ms']['p50'] <= result['latency_ms']['max']
    assert result['latency_subscriber_ms']['max'] > 0
    (folder,) = (out / 'live').iterdir()
    with open_bag(folder / 'bag') as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
    (namespace,) = {topic.split('/')[1] for topic in counts if topic != '/diagnostics'}
    node, camera = f'/{namespace}/segmentation', f'/{namespace}/camera/image_raw/compressed'
    assert counts[f'{node}/mask'] == counts[f'{node}/key_frame'] == result['frames']
    assert 0 < counts[camera + HEADER_TOPIC] <= FRAMES
    assert camera not in counts

    def not_again(*_: object, **__: object) -> None:
        raise AssertionError('what is stored was played again')

    before = (out / 'results.json').read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('vss_ros.live.jobs.play', not_again)
        assert evaluate(out, str(played), *PER_FRAME)[0] == 0
    assert (out / 'results.json').read_bytes() == before


@pytest.mark.slow
def test_overload_is_an_ordinary_input(ros_domain: dict[str, str], tmp_path: Path) -> None:
    frames = 30
    played = bag(clip(tmp_path / 'clip', frames=frames), tmp_path / 'street')
    # The whole network at 360x480 takes more than the 22 ms between images wherever one thread runs it.
    words = [*PER_FRAME, '--size', '360x480', '--rate', '3']
    status, result = evaluate(tmp_path / 'out', str(played), *words)
    assert status == 0
    assert (result['live'], result['rate']) == (True, 3.0)
    assert result['frames'] >= 1
    dropped = sum(result['drops'].values())
    assert dropped >= 1
    assert result['frames'] + dropped == frames
    assert set(result['drops']) <= {'overwritten', 'transport', 'mask_lost'}
    assert result['streaming']['labelled'] == frames
    assert result['streaming']['miou'] < result['miou']


@pytest.mark.slow
def test_a_folder_without_masks_agrees_with_its_own_network(
    ros_domain: dict[str, str], tmp_path: Path
) -> None:
    images = clip(tmp_path / 'clip', frames=4, masks=False)
    status, result = evaluate(tmp_path / 'out', str(images), *PER_FRAME)
    assert status == 0
    assert (result['truth'], result['agreement']) == ('per_frame', 1.0)
    assert 'miou' not in result
    assert result['frames'] + sum(result['drops'].values()) == 4


@pytest.mark.slow
def test_a_node_that_runs_already_is_evaluated_as_it_is(
    ros_domain: dict[str, str], images: Path, tmp_path: Path
) -> None:
    played = bag(images, tmp_path / 'street', '--topic', '/front/image_raw')
    words = ['--ros-args', '-r', '__ns:=/front', '-r', 'image_raw/compressed:=/front/image_raw/compressed']
    for pair in ('image_transport:=compressed', 'size:=72x96', 'interval:=3', 'threads:=1', 'device:=cpu'):
        words += ['-p', pair]
    with Child('segmentation_node', words, tmp_path) as node:
        node.wait_for('waiting for images', 300)
        copy = bag(images, tmp_path / 'again', '--topic', '/front/image_raw')
        status, result = evaluate(
            tmp_path / 'out', str(played), str(copy), '--attach', '/front/segmentation', '--interval', '99'
        )
        node.check('at the evaluation')
        assert settings_of('/front/segmentation').interval == 3
        node.stop()
    assert status == 0
    settings = result['config']['segmenter']
    assert (settings['size'], settings['interval'], settings['slow_delay']) == ([72, 96], 3, 0)
    assert result['frames'] + sum(result['drops'].values()) == 2 * FRAMES
    for number in (0, 1):  # the second recording is a stream of its own
        first = next(row for row in result['decisions'] if row['input'] == number)
        assert first['reason'] in {'first', 'reset'}


def test_a_run_that_fails_says_so_and_ends_none_of_the_others(
    ros_domain: dict[str, str], images: Path, tmp_path: Path
) -> None:
    nowhere = tmp_path / 'nowhere'
    status, result = evaluate(tmp_path / 'out', str(nowhere), str(images), *PER_FRAME)
    assert status == 1
    assert [entry['failed'] for entry in result['inputs']] == [True, False]
    assert 'does not exist' in result['inputs'][0]['reason']
    assert not (tmp_path / 'out' / 'live' / 'nowhere').exists()


@pytest.mark.slow
def test_of_a_damaged_bag_what_can_be_had_is_played(
    ros_domain: dict[str, str], images: Path, tmp_path: Path
) -> None:
    played = bag(images, tmp_path / 'street')
    (file,) = played.glob('*.mcap')
    file.write_bytes(file.read_bytes()[:-100])
    (tmp_path / 'nothing.mcap').write_bytes(b'no bag at all')
    status, result = evaluate(tmp_path / 'out', str(played), str(tmp_path / 'nothing.mcap'), *PER_FRAME)
    assert status == 1
    whole, nothing = result['inputs']
    assert (whole['partial'], whole['failed'], nothing['failed']) == (True, False, True)
    assert file.name in whole['reason']
    assert 'no readable message' in nothing['reason']
    assert result['frames'] + sum(result['drops'].values()) == FRAMES


def test_a_node_that_cannot_start_is_a_reason(
    ros_domain: dict[str, str], images: Path, tmp_path: Path
) -> None:
    missing = config(model='lernet', propagation='refined_warping').as_live(1.0)
    result = evaluate_live(images, missing, folder=tmp_path / 'run').result
    assert result.failed
    assert 'has no weights for model' in result.reason
    assert 'segmentation_node ended' in result.reason


@pytest.mark.slow
def test_others_in_the_domain_do_not_disturb_a_node_of_our_own_but_an_attached_one(
    ros_domain: dict[str, str], images: Path, tmp_path: Path
) -> None:
    from rclpy.node import Node
    from sensor_msgs.msg import Image

    from vss_ros.live.observer import graph

    asked = config().as_live(1.0)
    words = ['--ros-args', '-r', 'image_raw:=/camera/image_raw', '-p', 'size:=72x96', '-p', 'threads:=1']
    with Child('segmentation_node', words, tmp_path) as node, graph() as executor:
        node.wait_for('waiting for images', 300)
        other = Node('segmentation', context=executor.context)
        other.create_publisher(Image, '/segmentation/mask', 5)
        attached = evaluate_live(images, asked, folder=tmp_path / 'one', node='/segmentation').result
        own = evaluate_live(images, asked, folder=tmp_path / 'two').result
        other.destroy_node()
    assert attached.failed
    assert 'several; set ROS_DOMAIN_ID' in attached.reason
    assert own.frames + sum(own.drops.values()) == FRAMES


def test_a_node_that_is_not_there(ros_domain: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('vss_ros.live.observer.PATIENCE', 1.0)
    with pytest.raises(VssError, match='/nobody/get_parameters'):
        settings_of('/nobody')


@pytest.mark.slow
def test_images_that_reach_no_node(
    ros_domain: dict[str, str], images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attached node that listens elsewhere: the remedy is told."""
    words = ['--ros-args', '-p', 'size:=72x96', '-p', 'threads:=1', '-p', 'device:=cpu']
    with Child('segmentation_node', words, tmp_path) as node:
        node.wait_for('waiting for images', 300)
        monkeypatch.setattr('vss_ros.live.observer.READY', 5.0)
        asked = config().as_live(1.0)
        result = evaluate_live(images, asked, folder=tmp_path / 'run', node='/segmentation').result
    assert result.failed
    assert 'expected /segmentation to subscribe to /camera/image_raw' in result.reason
