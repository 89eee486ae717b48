"""Shared memory of killed processes is removed, that of living ones stays; a removed port is mended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')

from vss_ros.node import shared_memory
from vss_ros.node.shared_memory import Ports, _listened_to, remove_orphans
from vss_ros.resources import large_image_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from node_graph import Graph

SENDER = Path(__file__).with_name('large_image_sender.py')

HOLDER = 'import rclpy\nrclpy.init()\nnode = rclpy.create_node("holder")\nprint("up", flush=True)\ninput()'


def held_by(process: subprocess.Popen[str]) -> set[Path]:
    """Return the segments and ports whose locks a process holds."""
    locks = [line.split() for line in Path('/proc/locks').read_text().splitlines()]
    inodes = {int(lock[5].rpartition(':')[2]) for lock in locks if lock[4] == str(process.pid)}
    held = [file for file in Path('/dev/shm').glob('fast*_el') if file.stat().st_ino in inodes]
    return {file.with_name(file.name.removesuffix('_el')) for file in held}


def test_only_what_nobody_holds_goes(ros_domain: dict[str, str]) -> None:
    environment = os.environ | large_image_environment({'ROS_DISTRO': os.environ.get('ROS_DISTRO', '')})
    domains = int(ros_domain['ROS_DOMAIN_ID']), 1 + int(ros_domain['ROS_DOMAIN_ID']) % 100  # strangers
    holders = [
        subprocess.Popen(
            [sys.executable, '-c', HOLDER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment | {'ROS_DOMAIN_ID': str(domain)},
        )
        for domain in domains
    ]  # fmt: skip
    try:
        for holder in holders:
            assert holder.stdout is not None
            assert holder.stdout.readline() == 'up\n'
        killed, living = map(held_by, holders)
        holders[0].kill()
        holders[0].wait()
        for held in (killed, living):
            assert {'_port' in file.name for file in held} == {False, True}
        for file in killed | living:  # neither is young
            os.utime(f'{file}_el', (0, 0))
        assert sum(file.stat().st_size for file in killed) > 6e7
        number, size = remove_orphans()
        assert number >= sum('_port' not in file.name for file in killed)
        assert size > 6e7
        own = [file.name for file in killed if int(file.name.partition('_port')[2] or 7400) >= 7400]
        assert len(own) > 1  # lower ports are used by anybody
        assert [left for name in own for left in Path('/dev/shm').glob(f'*{name}*')] == []
        assert all(file.exists() for file in living)
    finally:
        for holder in holders:
            holder.kill()
            holder.wait()


def test_a_node_whose_ports_were_removed_hears_again(
    start: Callable[..., Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Fast DDS does it between two processes, where one has stood still; see ``Ports``."""
    graph = start(propagation='none', qos='reliable')
    ports = _listened_to()
    assert ports
    told: list[str] = []
    looked_after = Ports()

    def look() -> str:
        return looked_after.look(lambda *said: told.append(said[2]))

    assert [look() for _ in range(3)] == ['', '', '']
    with monkeypatch.context() as made_anew:
        made_anew.setattr(shared_memory, '_listened_to', set)
        assert look() == ''
    assert not told
    with monkeypatch.context() as removed:
        removed.setattr(shared_memory, '_inode', lambda _: 0)
        removed.setattr(shared_memory, '_mark', lambda *_: True)
        assert [look(), look()] == ['', '']
        assert len(told) == len(ports)
        assert any(look() for _ in range(shared_memory.MOST_LOOKS))
    for port in ports:
        Path('/dev/shm', port).unlink()
    words = [sys.executable, str(SENDER), '100', 'reliable', '--ros-args', '-r', 'large_image:=image_raw']
    with subprocess.Popen(words) as sender:
        try:
            heard = lambda: graph.count('received') + graph.count('lost') > 0  # noqa: E731
            graph.wait(heard, 'images of another process')
        finally:
            sender.kill()
    assert graph.count('cut_off') >= len(ports)
    assert graph.node.exit_status is None
    assert _listened_to() == ports
    assert all(Path('/dev/shm', port).exists() for port in ports)


def test_a_port_whose_maker_was_killed_goes_though_its_guard_is_taken() -> None:
    """Left as it is, each later process of that port waits for ever for what is to be written there."""
    port = Path('/dev/shm/fastdds_port65533')
    guard = port.with_name(f'sem.{port.name}_mutex')
    made = f'ctypes.CDLL(None).sem_open(b"/{guard.name.removeprefix("sem.")}", os.O_CREAT, 0o600, 0)'
    try:
        port.touch()
        os.utime(port, (0, 0))
        holder = subprocess.Popen(
            [sys.executable, '-c', f'import ctypes, os; {made}; print(flush=True); input()'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        with holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            remove_orphans()
            assert port.exists()  # a process that lives is about to write there
            holder.kill()
        remove_orphans()
        assert not port.exists()
        assert not guard.exists()
    finally:
        port.unlink(missing_ok=True)
        guard.unlink(missing_ok=True)


def test_young_segments_and_other_files_stay(tmp_path: Path) -> None:
    names = ['fastdds_0123456789abcdef', 'fastdds_port999999', 'other']
    for name in names:
        (tmp_path / name).write_bytes(bytes(10))
        (tmp_path / f'{name}_el').touch()
    (tmp_path / 'sem.fastdds_port999999_mutex').touch()
    everything = sorted(tmp_path.iterdir())
    assert remove_orphans(tmp_path) == (0, 0)
    assert sorted(tmp_path.iterdir()) == everything
    for file in everything:
        os.utime(file, (0, 0))
    assert remove_orphans(tmp_path) == (1, 10)
    assert sorted(file.name for file in tmp_path.iterdir()) == ['other', 'other_el']
