"""`pip install .`: the part that needs no ROS, with the command `vss`. colcon uses CMakeLists.txt instead."""

from __future__ import annotations

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
# What vss reads at run time travels inside the package, where vss_ros/resources.py looks for it.
DATA = [folder for folder in ('config', 'models', 'msg') if (ROOT / folder).is_dir()]


def files_below(folder: str) -> list[str]:
    """Return the files in a folder and its sub-folders, relative to the folder."""
    base = ROOT / folder
    return [str(path.relative_to(base)) for path in sorted(base.rglob('*')) if path.is_file()]


setup(
    packages=[
        *find_packages(
            include=['vss_ros', 'vss_ros.*'],
            exclude=[f'vss_ros.{d}{x}' for d in ('node', 'live') for x in ('', '.*')],
        ),
        *(f'vss_ros.share.{folder}' for folder in DATA),
    ],
    package_dir={f'vss_ros.share.{folder}': folder for folder in DATA},
    package_data={
        'vss_ros': ['py.typed'],
        'vss_ros.evaluation.report': ['templates/*'],
        **{f'vss_ros.share.{folder}': files_below(folder) for folder in DATA},
    },
)
