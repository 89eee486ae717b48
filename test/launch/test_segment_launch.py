"""launch/segment.launch.py: what it hands to the node, seen by a stand-in executable that writes it down."""

from __future__ import annotations

import json
import os
import py_compile
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILE = ROOT / 'launch' / 'segment.launch.py'
ARGUMENTS = {
    'namespace', 'params_file', 'model', 'device', 'image_topic', 'image_transport', 'use_sim_time',
    'autostart', 'log_level', 'respawn', 'large_images',
}  # fmt: skip
STAND_IN = """#!{python}
import json, os, pathlib, sys
files = [sys.argv[i + 1] for i, word in enumerate(sys.argv) if word == '--params-file']
pathlib.Path(os.environ['STAND_IN_OUTPUT']).write_text(json.dumps({{
    'arguments': sys.argv[1:], 'environment': dict(os.environ), 'files': files,
    'parameters': [pathlib.Path(name).read_text() for name in files],
}}))
"""
RUN = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
given = [tuple(word.split(':=', 1)) for word in sys.argv[2:]]
source = PythonLaunchDescriptionSource(sys.argv[1])
description = LaunchDescription([IncludeLaunchDescription(source, launch_arguments=given)])
service = LaunchService()
service.include_launch_description(description)
sys.exit(service.run())
"""
PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')


def test_launch_file_compiles(tmp_path: Path) -> None:
    py_compile.compile(str(LAUNCH_FILE), cfile=str(tmp_path / 'out.pyc'), doraise=True)


@pytest.fixture
def launch_ros() -> None:
    """Skip where ROS 2's launch is not installed; it is on no package index."""
    pytest.importorskip('launch_ros', reason='needs launch_ros, which only a ROS 2 distribution brings')


def start(tmp_path: Path, *given: str, **variables: str) -> dict[str, Any]:
    """Launch with some arguments; returns what the stand-in for the node was given."""
    prefix = tmp_path / 'prefix'
    script = prefix / 'lib' / 'vss_ros' / 'segmentation_node'
    marker = prefix / 'share' / 'ament_index' / 'resource_index' / 'packages' / 'vss_ros'
    config = prefix / 'share' / 'vss_ros' / 'config' / 'segment.yaml'
    for path, text in (
        (script, STAND_IN.format(python=sys.executable)),
        (marker, ''),
        (config, '/**:\n  ros__parameters: {}\n'),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    script.chmod(0o755)
    output = tmp_path / 'output.json'
    env = {name: value for name, value in os.environ.items() if name not in PROFILE_VARIABLES} | {
        'AMENT_PREFIX_PATH': f'{prefix}{os.pathsep}{os.environ.get("AMENT_PREFIX_PATH", "")}',
        'PYTHONPATH': f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}',
        'ROS_LOG_DIR': str(tmp_path / 'log'),
        'STAND_IN_OUTPUT': str(output),
        **variables,
    }
    done = subprocess.run(
        [sys.executable, '-c', RUN, str(LAUNCH_FILE), *given],
        env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert output.is_file(), done.stdout + done.stderr
    result: dict[str, Any] = json.loads(output.read_text())
    return result


def overrides(result: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that come after the parameter file."""
    (section,) = yaml.safe_load(result['parameters'][-1]).values()
    parameters: dict[str, Any] = section['ros__parameters']
    return parameters


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
    assert 'image_raw/compressed:=/cam/image/compressed' in words
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
