"""launch/segment.launch.py: what it hands to the node, seen by a stand-in executable that writes it down."""

from __future__ import annotations

import py_compile
from typing import TYPE_CHECKING, Any

import pytest
from launch_parts import PROFILE_VARIABLES, ROOT, launch, overrides, run

if TYPE_CHECKING:
    from pathlib import Path

LAUNCH_FILE = ROOT / 'launch' / 'segment.launch.py'
ARGUMENTS = {
    'namespace', 'params_file', 'model', 'device', 'image_topic', 'image_transport', 'use_sim_time',
    'autostart', 'cameras', 'log_level', 'respawn', 'large_images',
}  # fmt: skip


def test_launch_file_compiles(tmp_path: Path) -> None:
    py_compile.compile(str(LAUNCH_FILE), cfile=str(tmp_path / 'out.pyc'), doraise=True)


@pytest.fixture
def launch_ros() -> None:
    """Skip where ROS 2's launch is not installed; it is on no package index."""
    pytest.importorskip('launch_ros', reason='needs launch_ros, which only a ROS 2 distribution brings')


def start(tmp_path: Path, *given: str, **variables: str) -> dict[str, Any]:
    """Launch with some arguments; returns what the stand-in for the node was given."""
    return launch(LAUNCH_FILE, tmp_path, *given, variables=variables)['segmentation_node']


def test_every_argument_is_described(launch_ros: None) -> None:
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    description = get_launch_description_from_python_launch_file(str(LAUNCH_FILE))
    declared = description.get_launch_arguments()
    assert {argument.name for argument in declared} == ARGUMENTS
    assert all(len(argument.description) > 15 for argument in declared)


def test_defaults(launch_ros: None, tmp_path: Path) -> None:
    result = start(tmp_path)
    assert result['files'][0] == str(tmp_path / 'prefix/share/vss_ros/config/segment.yaml')
    assert overrides(result) == {}
    words = result['arguments']
    assert '__node:=segmentation' in words
    assert 'image_raw:=image_raw' in words
    assert 'segmentation:=info' in words
    profiles = [result['environment'].get(name) for name in PROFILE_VARIABLES]
    assert str(ROOT / 'config/dds/large_images.xml') in profiles


def test_arguments_reach_the_node(launch_ros: None, tmp_path: Path) -> None:
    own = tmp_path / 'own.yaml'
    own.write_text('/**:\n  ros__parameters: {}\n')
    result = start(
        tmp_path, 'namespace:=/front/left', f'params_file:={own}', 'model:=m', 'device:=cpu',
        'image_topic:=/cam/image', 'image_transport:=compressed', 'use_sim_time:=true', 'autostart:=false',
        'log_level:=debug',
    )  # fmt: skip
    assert result['files'][0] == str(own)
    assert overrides(result) == {
        'use_sim_time': True,
        'autostart': False,
        'model': 'm',
        'device': 'cpu',
        'image_transport': 'compressed',
    }
    words = result['arguments']
    assert '__ns:=/front/left' in words
    assert 'image_raw:=/cam/image' in words
    assert 'front.left.segmentation:=debug' in words


def test_large_images_can_be_switched_off(launch_ros: None, tmp_path: Path) -> None:
    environment = start(tmp_path, 'large_images:=false')['environment']
    assert not any(environment.get(name) for name in PROFILE_VARIABLES)


@pytest.mark.parametrize('name', PROFILE_VARIABLES)
def test_a_profile_that_is_set_stays(launch_ros: None, tmp_path: Path, name: str) -> None:
    environment = start(tmp_path, **{name: '/own.xml'})['environment']
    assert [environment.get(variable) for variable in PROFILE_VARIABLES if environment.get(variable)] == [
        '/own.xml'
    ]


@pytest.mark.parametrize('respawn', ['false', 'true'])
def test_a_node_that_cannot_start_ends_the_launch_with_a_status(
    launch_ros: None, tmp_path: Path, respawn: str
) -> None:
    done, _, _ = run(LAUNCH_FILE, tmp_path, f'respawn:={respawn}', variables={'STAND_IN_ENDS': '1'})
    assert done.returncode == 1
    assert 'ended with status 1; its last lines above say why' in done.stderr + done.stdout
    assert (done.stderr + done.stdout).count('process started with pid') == 1


def test_a_missing_file_ends_the_launch_and_misspelt_arguments_are_said(
    launch_ros: None, tmp_path: Path
) -> None:
    done, _, _ = run(LAUNCH_FILE, tmp_path, 'params_file:=/no.yaml', 'image_topc:=/cam/image')
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "expected a parameter file as params_file, got '/no.yaml'" in said
    (tmp_path / 'again').mkdir()
    done, _, _ = run(LAUNCH_FILE, tmp_path / 'again', 'image_topc:=/cam/image')
    assert "there is no argument 'image_topc', did you mean 'image_topic'?" in done.stdout + done.stderr
    assert done.returncode == 0


def test_several_cameras(launch_ros: None, tmp_path: Path) -> None:
    result = start(tmp_path, 'cameras:=front,rear', 'image_topic:=/f/image_raw, /r/image_raw')
    assert overrides(result) == {'cameras': 'front,rear'}
    words = result['arguments']
    assert {'front/image_raw:=/f/image_raw', 'rear/image_raw:=/r/image_raw'} <= {*words}


def test_a_topic_for_each_camera(launch_ros: None, tmp_path: Path) -> None:
    done, *_ = run(LAUNCH_FILE, tmp_path, 'cameras:=front,rear', 'image_topic:=/f/image_raw')
    assert done.returncode
    assert 'expected an image_topic for each of front, rear' in done.stdout + done.stderr
