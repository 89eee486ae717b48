"""launch/evaluate_bag.launch.py: what it hands to node and evaluation, that it ends, and once for real."""

from __future__ import annotations

import json
import os
import py_compile
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from evaluation_parts import bag, clip
from launch_parts import ROOT, RUN, TIMEOUT_S, launch, overrides, run

if TYPE_CHECKING:
    from pathlib import Path

LAUNCH_FILE = ROOT / 'launch' / 'evaluate_bag.launch.py'
ARGUMENTS = {
    'bag', 'output', 'rate', 'image_topic', 'params_file', 'namespace', 'model', 'device', 'options',
    'log_level',
}  # fmt: skip
NODE_STAYS = {'STAND_IN_STAYS': 'segmentation_node'}


def test_launch_file_compiles(tmp_path: Path) -> None:
    py_compile.compile(str(LAUNCH_FILE), cfile=str(tmp_path / 'out.pyc'), doraise=True)


@pytest.fixture
def launch_ros() -> None:
    """Skip where ROS 2's launch is not installed; it is on no package index."""
    pytest.importorskip('launch_ros', reason='needs launch_ros, which only a ROS 2 distribution brings')
    pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')


@pytest.fixture
def played(tmp_path: Path) -> Path:
    return bag(clip(tmp_path / 'clip', frames=4), tmp_path / 'street bag')


def after(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


def test_every_argument_is_described(launch_ros: None) -> None:
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    description = get_launch_description_from_python_launch_file(str(LAUNCH_FILE))
    declared = description.get_launch_arguments()
    assert {argument.name for argument in declared} == ARGUMENTS
    assert all(len(argument.description) > 15 for argument in declared)


def test_the_node_listens_to_the_bags_camera_and_ends_with_the_evaluation(
    launch_ros: None, tmp_path: Path, played: Path
) -> None:
    results = launch(LAUNCH_FILE, tmp_path, f'bag:={played}', on_path=('vss',), variables=NODE_STAYS)
    node, evaluation = results['segmentation_node'], results['vss']['arguments']
    assert 'image_raw/compressed:=/camera/image_raw/compressed' in node['arguments']
    assert overrides(node) == {'image_transport': 'compressed'}
    assert evaluation[:3] == ['evaluate', str(played), '--live']
    assert after(evaluation, '--attach') == '/segmentation'
    assert (after(evaluation, '--rate'), after(evaluation, '-o')) == ('1.0', 'evaluation')
    assert '--image-topic' not in evaluation
    assert any(str(ROOT / 'config/dds/large_images.xml') in value for value in node['environment'].values())


def test_arguments_reach_both(launch_ros: None, tmp_path: Path, played: Path) -> None:
    own = tmp_path / 'own.yaml'
    own.write_text('/**:\n  ros__parameters: {}\n')
    topic = '/camera/image_raw/compressed'
    results = launch(
        LAUNCH_FILE, tmp_path, f'bag:={played}', 'output:=out', 'rate:=3', f'image_topic:={topic}',
        f'params_file:={own}', 'namespace:=/front/left', 'model:=m', 'device:=cpu',
        'options:=--masks "my labels" --fresh', 'log_level:=debug', on_path=('vss',), variables=NODE_STAYS,
    )  # fmt: skip
    node, evaluation = results['segmentation_node'], results['vss']['arguments']
    assert node['files'][0] == str(own)
    assert overrides(node) == {'image_transport': 'compressed', 'model': 'm', 'device': 'cpu'}
    assert {'__ns:=/front/left', 'front.left.segmentation:=debug'} <= set(node['arguments'])
    assert after(evaluation, '--attach') == '/front/left/segmentation'
    assert (after(evaluation, '--rate'), after(evaluation, '-o')) == ('3', 'out')
    assert after(evaluation, '--image-topic') == topic
    assert after(evaluation, '--masks') == 'my labels'
    assert evaluation[-1] == '--fresh'


def test_a_node_that_ends_ends_everything(launch_ros: None, tmp_path: Path, played: Path) -> None:
    started = launch(
        LAUNCH_FILE, tmp_path, f'bag:={played}', on_path=('vss',), variables={'STAND_IN_STAYS': 'vss'}
    )
    assert set(started) == {'segmentation_node', 'vss'}


def test_a_node_that_fails_ends_everything_with_a_status(
    launch_ros: None, tmp_path: Path, played: Path
) -> None:
    variables = {'STAND_IN_STAYS': 'vss', 'STAND_IN_ENDS': '1'}
    done, _, _ = run(LAUNCH_FILE, tmp_path, f'bag:={played}', on_path=('vss',), variables=variables)
    assert done.returncode == 1


def test_for_real(launch_ros: None, ros_domain: dict[str, str], tmp_path: Path, played: Path) -> None:
    from ament_index_python.packages import PackageNotFoundError, get_package_prefix

    try:
        prefix = get_package_prefix('vss_ros')
    except PackageNotFoundError:
        pytest.skip('needs vss_ros in the sourced workspace: make build')
    own = tmp_path / 'own.yaml'
    settings = {'propagation': 'none', 'size': '72x96', 'threads': 1, 'device': 'cpu'}
    own.write_text(json.dumps({'/**': {'ros__parameters': settings}}))
    path = f'{prefix}/bin{os.pathsep}{os.environ["PATH"]}'
    done = subprocess.run(
        [
            sys.executable, '-c', RUN, str(LAUNCH_FILE), f'bag:={played}', f'output:={tmp_path}/out',
            f'params_file:={own}',
        ],
        env=ros_domain | {'PATH': path, 'ROS_LOG_DIR': str(tmp_path / 'log')},
        cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert (tmp_path / 'out' / 'results.json').is_file(), done.stdout + done.stderr
    (result,) = json.loads((tmp_path / 'out' / 'results.json').read_text())['configurations']
    assert (result['live'], result['config']['segmenter']['size']) == (True, [72, 96])
    assert result['frames'] + sum(result['drops'].values()) == 4
