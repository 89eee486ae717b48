"""Launches files with stand-ins for the executables, which write down what they were given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[1]
PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
STAND_IN = """#!{python}
import json, os, pathlib, sys, time
files = [sys.argv[i + 1] for i, word in enumerate(sys.argv) if word == '--params-file']
name = pathlib.Path(sys.argv[0]).name
whole = pathlib.Path(os.environ['STAND_IN_OUTPUT'], name + '.json')
whole.with_suffix('.part').write_text(json.dumps({{
    'arguments': sys.argv[1:], 'environment': dict(os.environ), 'files': files,
    'parameters': [pathlib.Path(name).read_text() for name in files],
}}))
whole.with_suffix('.part').rename(whole)
if name in os.environ.get('STAND_IN_STAYS', ''):
    time.sleep(600)
if 'STAND_IN_ENDS' in os.environ:
    sys.exit(int(os.environ['STAND_IN_ENDS']))
while not all((whole.parent / (other + '.json')).exists() for other in os.environ['STAND_INS'].split()):
    time.sleep(0.05)
"""
"""Ends once all have started, or stays until it is stopped where its name is in STAND_IN_STAYS."""
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
TIMEOUT_S = 300
"""A busy machine is no failure."""


def launch(
    file: Path,
    tmp_path: Path,
    *given: str,
    on_path: tuple[str, ...] = (),
    variables: Mapping[str, str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Launch with some arguments until everything has ended.

    Args:
        file: The launch file.
        tmp_path: Where stand-ins and their output go.
        given: Arguments as on the command line.
        on_path: Executables to stand in for beside ``segmentation_node``, found by PATH.
        variables: More environment.

    Returns:
        What each stand-in was given, by its name.
    """
    done, output, names = run(file, tmp_path, *given, on_path=on_path, variables=variables)
    results = {file.stem: json.loads(file.read_text()) for file in output.glob('*.json')}
    assert set(results) == names, done.stdout + done.stderr
    return results


def run(
    file: Path,
    tmp_path: Path,
    *given: str,
    on_path: tuple[str, ...] = (),
    variables: Mapping[str, str] | None = None,
) -> tuple[subprocess.CompletedProcess[str], Path, set[str]]:
    """Launch as ``launch`` does; return what became of it, where stand-ins wrote, and their names."""
    prefix, output = tmp_path / 'prefix', tmp_path / 'output'
    scripts = [prefix / 'lib' / 'vss_ros' / 'segmentation_node', *(prefix / 'bin' / name for name in on_path)]
    for path, text in (
        *((script, STAND_IN.format(python=sys.executable)) for script in scripts),
        (prefix / 'share/ament_index/resource_index/packages/vss_ros', ''),
        (prefix / 'share/vss_ros/config/segment.yaml', '/**:\n  ros__parameters: {}\n'),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for script in scripts:
        script.chmod(0o755)
    output.mkdir()
    env = {name: value for name, value in os.environ.items() if name not in PROFILE_VARIABLES} | {
        'AMENT_PREFIX_PATH': f'{prefix}{os.pathsep}{os.environ.get("AMENT_PREFIX_PATH", "")}',
        'PATH': f'{prefix / "bin"}{os.pathsep}{os.environ["PATH"]}',
        'PYTHONPATH': f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}',
        'ROS_LOG_DIR': str(tmp_path / 'log'),
        'STAND_IN_OUTPUT': str(output),
        'STAND_INS': ' '.join(script.name for script in scripts),
        **(variables or {}),
    }
    done = subprocess.run(
        [sys.executable, '-c', RUN, str(file), *given],
        env=env, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    return done, output, {script.name for script in scripts}


def overrides(result: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that come after the parameter file."""
    (section,) = yaml.safe_load(result['parameters'][-1]).values()
    parameters: dict[str, Any] = section['ros__parameters']
    return parameters
