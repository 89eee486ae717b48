"""The package's descriptions agree with one another, and the layers keep to themselves."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import vss_ros

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROS_FREE = ('engine', 'images', 'recordings', 'datasets', 'training', 'evaluation', 'cli')
ROS = {
    'rclpy',
    'sensor_msgs',
    'std_msgs',
    'std_srvs',
    'diagnostic_msgs',
    'lifecycle_msgs',
    'launch',
    'launch_ros',
}
# rosdep key → name on PyPI, where they differ by more than the prefix.
ROSDEP = {
    'python3-onnxruntime-pip': 'onnxruntime',
    'python3-opencv': 'opencv-python-headless',
    'python3-pil': 'pillow',
    'python3-yaml': 'pyyaml',
}
# Distribution on PyPI → what is imported.
MODULES = {
    'backports-zstd': 'backports',
    'opencv-python-headless': 'cv2',
    'pillow': 'PIL',
    'pyyaml': 'yaml',
}
# Used where somebody installed them, with a clear message where not; compression: Python 3.14's;
# typing_extensions: by type checkers.
OPTIONAL = {
    'ament_index_python', 'compression', 'openvino', 'pybullet', 'pybullet_data', 'triton',
    'typing_extensions',
}  # fmt: skip

# jinja2 is built on it, so that it comes along.
BROUGHT_ALONG = {'markupsafe'}
# 240 MB for what few use, in the version of the cluster at hand, and 270 for what trainings end with.
NOT_LOCKED = {'ray', 'nncf'}


@pytest.fixture(scope='module')
def pyproject(project_root: Path) -> dict[str, Any]:
    """Return [project] of pyproject.toml."""
    with (project_root / 'pyproject.toml').open('rb') as file:
        project: dict[str, Any] = tomllib.load(file)['project']
    return project


@pytest.fixture(scope='module')
def package_xml(project_root: Path) -> ET.Element:
    """Return the root of package.xml."""
    return ET.parse(project_root / 'package.xml').getroot()


def requirements(pyproject: dict[str, Any], *, extras: bool) -> dict[str, Requirement]:
    """Return what pip installs, by canonical name."""
    lines = list(pyproject['dependencies'])
    if extras:
        lines += [line for extra in pyproject['optional-dependencies'].values() for line in extra]
    return {str(canonicalize_name(item.name)): item for item in map(Requirement, lines)}


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names of all modules that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f'{node.module}.{alias.name}' for alias in node.names)


def ros_free_files(root: Path) -> list[Path]:
    files = [path for layer in ROS_FREE for path in (root / 'vss_ros' / layer).rglob('*.py')]
    assert files
    return files


def test_one_version_and_licence(pyproject: dict[str, Any], package_xml: ET.Element) -> None:
    assert package_xml.findtext('version') == pyproject['version'] == vss_ros.__version__
    assert package_xml.findtext('license') == pyproject['license']['text']
    assert package_xml.findtext('name') == vss_ros.__name__


def test_package_xml_and_pyproject_ask_for_the_same(
    project_root: Path, pyproject: dict[str, Any], package_xml: ET.Element
) -> None:
    keys = {str(tag.text) for tag in package_xml if tag.tag.endswith('depend') and tag.tag != 'test_depend'}
    named = {
        ROSDEP.get(key, key.removeprefix('python3-')) for key in keys if str(key).startswith('python3-')
    }  # fmt: skip
    comment = re.search(r'No rosdep key exists for: ([\w, -]+)\.', (project_root / 'package.xml').read_text())
    assert comment, 'package.xml names the dependencies that rosdep does not know'
    assert named | set(comment[1].split(', ')) == set(requirements(pyproject, extras=False))


def test_lock_satisfies_pyproject(project_root: Path, pyproject: dict[str, Any]) -> None:
    lines = (project_root / 'requirements.lock').read_text().splitlines()
    pins = dict(line.partition(';')[0].split('==') for line in lines if '==' in line and line[0] != '#')
    versions = {str(canonicalize_name(name)): version for name, version in pins.items()}
    for name, requirement in requirements(pyproject, extras=True).items():
        if name in NOT_LOCKED:
            continue
        assert name in versions, f'{name} is not in requirements.lock'
        assert requirement.specifier.contains(versions[name]), (
            f'{name}: {versions[name]} is not {requirement}'
        )


def test_ros_stays_in_the_node(project_root: Path) -> None:
    wrong = {
        f'{path.relative_to(project_root)} imports {name}'
        for path in [*ros_free_files(project_root), project_root / 'vss_ros' / 'resources.py']
        for name in imports(path)
        if name.split('.')[0] in ROS or re.match(r'vss_ros\.(node|msg)\b', name)
    }
    assert not wrong


def test_every_import_is_declared(project_root: Path, pyproject: dict[str, Any]) -> None:
    declared = (
        {MODULES.get(name, name) for name in requirements(pyproject, extras=True)}
        | OPTIONAL
        | BROUGHT_ALONG
        | {'vss_ros'}
    )
    wrong = {
        f'{path.relative_to(project_root)} imports {name}'
        for path in ros_free_files(project_root)
        for name in imports(path)
        if name.split('.')[0] not in declared | sys.stdlib_module_names
    }
    assert not wrong


def test_no_path_of_one_machine(project_root: Path) -> None:
    command = ['git', '-C', str(project_root), 'ls-files', '-z']
    listing = subprocess.run(command, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip('needs a git checkout to know which files belong to the project')
    personal = re.compile(r'(?<![\w.~/])/(?:home|root|work|Users|mnt)/[\w.]|(?<![\w.~/])/tm[p]/w\b')
    wrong = []
    for name in filter(None, listing.stdout.split('\0')):
        path = project_root / name
        content = path.read_bytes() if path.is_file() else b''
        if b'\0' not in content[:8192]:
            lines = content.decode(errors='replace').splitlines()
            wrong += [f'{name}:{number}' for number, line in enumerate(lines, 1) if personal.search(line)]
    assert not wrong


def test_no_folder_hides_the_generated_messages(project_root: Path) -> None:
    assert not (project_root / 'vss_ros' / 'msg').exists()
    pytest.importorskip(
        'rclpy', reason='needs rclpy: run the tests with make test, or source a ROS 2 distribution'
    )
    from vss_ros.msg import KeyFrameDecision

    assert KeyFrameDecision.FIRST == 'first'
