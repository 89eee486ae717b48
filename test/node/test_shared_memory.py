"""Shared memory of killed processes is removed, that of living ones stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')

from vss_ros.node.shared_memory import remove_orphans
from vss_ros.resources import large_image_environment

HOLDER = 'import rclpy\nrclpy.init()\nnode = rclpy.create_node("holder")\nprint("up", flush=True)\ninput()'


def held_by(process: subprocess.Popen[str]) -> set[Path]:
    """Return the segments whose locks a process holds."""
    locks = [line.split() for line in Path('/proc/locks').read_text().splitlines()]
    inodes = {int(lock[5].rpartition(':')[2]) for lock in locks if lock[4] == str(process.pid)}
    files = [file for file in Path('/dev/shm').glob('fast*_el') if 'port' not in file.name]
    held = [file for file in files if file.stat().st_ino in inodes]
    return {file.with_name(file.name.removesuffix('_el')) for file in held}


def test_only_what_nobody_holds_goes(ros_domain: dict[str, str]) -> None:
    environment = os.environ | large_image_environment({'ROS_DISTRO': os.environ.get('ROS_DISTRO', '')})
    holders = [
        subprocess.Popen(
            [sys.executable, '-c', HOLDER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        for holder in holders:
            assert holder.stdout is not None
            assert holder.stdout.readline() == 'up\n'
        killed, living = map(held_by, holders)
        holders[0].kill()
        holders[0].wait()
        assert killed
        assert living
        for segment in killed | living:  # neither is young
            os.utime(f'{segment}_el', (0, 0))
        assert sum(segment.stat().st_size for segment in killed) > 6e7
        number, size = remove_orphans()
        assert number >= len(killed)
        assert size > 6e7
        assert not any(segment.exists() for segment in killed)
        assert all(segment.exists() for segment in living)
    finally:
        for holder in holders:
            holder.kill()
            holder.wait()


def test_young_segments_and_other_files_stay(tmp_path: Path) -> None:
    names = ['fastdds_0123456789abcdef', 'fastdds_port7410', 'other']
    for name in names:
        (tmp_path / name).write_bytes(bytes(10))
        (tmp_path / f'{name}_el').touch()
    assert remove_orphans(tmp_path) == (0, 0)
    for file in tmp_path.iterdir():
        os.utime(file, (0, 0))
    assert remove_orphans(tmp_path) == (1, 10)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(
        [*names[1:], *(f'{name}_el' for name in names[1:])]
    )
