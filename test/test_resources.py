"""Shipped files are found in the checkout, and in what pip installs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from vss_ros.resources import large_image_environment, resource

if TYPE_CHECKING:
    from pathlib import Path


def test_checkout_comes_first(project_root: Path) -> None:
    assert (
        resource('config', 'dds', 'large_images.xml') == project_root / 'config' / 'dds' / 'large_images.xml'
    )


def test_missing_file_says_where_it_was_looked_for(project_root: Path) -> None:
    with pytest.raises(FileNotFoundError, match='no-such-thing') as error:
        resource('config', 'no-such-thing')
    assert str(project_root / 'config' / 'no-such-thing') in str(error.value)


@pytest.mark.parametrize(
    ('distribution', 'name'),
    [('humble', 'FASTRTPS_DEFAULT_PROFILES_FILE'), ('', 'FASTDDS_DEFAULT_PROFILES_FILE')],
)
def test_profile_variable_fits_the_distribution(distribution: str, name: str) -> None:
    variables = large_image_environment({'ROS_DISTRO': distribution})
    assert list(variables) == [name]
    assert variables[name].endswith('large_images.xml')


def test_profile_that_is_set_stays() -> None:
    assert not large_image_environment({'FASTDDS_DEFAULT_PROFILES_FILE': 'own.xml'})
    assert not large_image_environment({'FASTRTPS_DEFAULT_PROFILES_FILE': 'own.xml'})


@pytest.mark.slow
def test_pip_install_brings_the_files(project_root: Path, tmp_path: Path) -> None:
    # A copy, because setuptools leaves build/ and *.egg-info in the folder that it builds.
    source, target = tmp_path / 'source', tmp_path / 'site'
    names = {
        'vss_ros',
        'config',
        'models',
        'setup.py',
        'pyproject.toml',
        'README.md',
        'LICENSE',
        'package.xml',
    }
    source.mkdir()
    for path in project_root.iterdir():
        if path.name in names:
            (shutil.copytree if path.is_dir() else shutil.copy)(path, source / path.name)
    options = ['--quiet', '--no-deps', '--no-build-isolation', '--target', str(target)]
    subprocess.run([sys.executable, '-m', 'pip', 'install', *options, str(source)], check=True, cwd=tmp_path)
    code = 'from vss_ros.resources import resource; print(resource("config", "dds", "large_images.xml"))'
    found = subprocess.run(
        [sys.executable, '-c', code],
        env={'PYTHONPATH': str(target)}, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.strip() == str(target / 'vss_ros' / 'share' / 'config' / 'dds' / 'large_images.xml')
    assert not (target / 'vss_ros' / 'node').exists()
