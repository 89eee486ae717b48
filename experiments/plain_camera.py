"""Plain rclpy cameras of 15 Hz before the node as it is launched: each image is received or counted as lost.

Each camera is a process of its own: reliable without any profile, and best effort with ours. One that
publishes best effort without the profile loses images: log and diagnostics have to say so within two seconds.
A camera three times as fast as the node shows overload: the answer has to be to the newest image, at most one
inference and one frame old when it is published.

Example:
  tools/run python -m experiments.plain_camera
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from select import select
from typing import TYPE_CHECKING, Any

from experiments.robot import robot
from vss_ros.command_line import add, new_parser
from vss_ros.live.run import stay_apart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.robot import Robot

RATE = 15.0
SIZES = ('480x640', '1080x1920')
PROFILES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
SAID_S = 2.0
SENTENCE = 'messages lost on the way'


def camera(
    size: str, frames: int, rate: float, *, plain: bool, reliable: bool | None = None
) -> subprocess.Popen[str]:
    """Start a camera, with the profile of this process unless it is a plain one, which else is reliable."""
    reliable = plain if reliable is None else reliable
    words = [size, '--rate', f'{rate}', '--frames', f'{frames}', *([] if reliable else ['--best-effort'])]
    environment = {k: v for k, v in os.environ.items() if not (plain and k in PROFILES)}
    command = [sys.executable, '-m', 'vss_ros.live.still_camera', *words]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def said_after(bench: Robot, size: str, frames: int) -> dict[str, float]:
    """Return after how many seconds log and diagnostics say that images are lost, from the first image on."""
    bench.wait(lambda: SENTENCE not in bench.said, 'earlier losses to be forgotten')
    before = bench.node.log.read_text(errors='replace').count(SENTENCE)
    found: dict[str, float] = {}
    with camera(size, frames, RATE, plain=True, reliable=False) as sender:
        assert sender.stdout is not None
        while not select([sender.stdout], [], [], 0)[0]:
            bench.spin(0.01)
        began = time.monotonic()
        while sender.poll() is None:
            bench.spin(0.01)
            if SENTENCE in bench.said:
                found.setdefault('diagnostics_s', round(time.monotonic() - began, 2))
            if bench.node.log.read_text(errors='replace').count(SENTENCE) > before:
                found.setdefault('log_s', round(time.monotonic() - began, 2))
    return found


def watch(bench: Robot, sender: subprocess.Popen[str]) -> dict[str, Any]:
    """Follow a camera until it has ended; return what the node's diagnostics counted and said meanwhile."""
    before = Counter({name: bench.count(name) for name in ('received', 'lost', 'answered', 'overwritten')})
    levels: Counter[int] = Counter()
    quiet = []  # statuses of OK while fewer than half of the last seconds' images were answered
    while sender.poll() is None:
        bench.spin(0.1)
        levels[bench.level[0]] += 1
        came, answered = (float(bench.counters.get(name, 0)) for name in ('camera_hz', 'rate_hz'))
        if bench.level == b'\0' and answered < came / 2 - 0.5:
            quiet.append((came, answered, bench.said))
    bench.spin(SAID_S)
    counts = {name: bench.count(name) - before[name] for name in before}
    return counts | {'quiet': quiet[:3], 'said': bench.said[:150]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print a line for each camera; 1 where a loss is not counted or said, or an answer too old."""
    parser = new_parser('python -m experiments.plain_camera', __doc__)
    add(parser, '--frames N', 'of each camera', 225)
    options = parser.parse_args(arguments)
    stay_apart()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder, robot(Path(folder), 'diagnostics_period:=0.5') as bench:
        bench.unplug()
        for size in SIZES:
            for plain in (True, False):
                row = watch(bench, camera(size, options.frames, RATE, plain=plain))
                missing = options.frames - row['received'] - row['lost']
                wrong += missing != 0 or bool(row['quiet'])
                kind = 'reliable, no profile' if plain else 'best effort, profile'
                print(f'{size} {kind}: {options.frames} sent, {missing} uncounted, {row}', flush=True)
        for size in SIZES:
            seconds = said_after(bench, size, options.frames)
            wrong += len(seconds) < len(('log', 'diagnostics')) or max(seconds.values()) > SAID_S
            print(f'{size} best effort, no profile: losses said after {seconds}', flush=True)
    # The whole network on every frame: what stands still costs nothing otherwise.
    with (
        tempfile.TemporaryDirectory() as folder,
        robot(Path(folder), 'diagnostics_period:=0.5', 'propagation:=none') as bench,
    ):
        bench.unplug()
        row = overload(bench, options.frames)
        wrong += row['age_ms_p95'] > row['inference_ms_p95'] + row['frame_ms']
        print(f'overload: {row}', flush=True)
    return bool(wrong)


def overload(bench: Robot, frames: int) -> dict[str, Any]:
    """Send three times as fast as the node answers; return counts, and ages and an inference in ms.

    An inference is the latency without overload, at 15 Hz: nothing waits.
    """
    watch(bench, camera('360x480', frames, RATE, plain=True))
    inference = {f'inference_ms_{p}': float(bench.counters[f'latency_all_ms_{p}']) for p in ('p50', 'p95')}
    rate = 3e3 / inference['inference_ms_p50']
    row = watch(bench, camera('360x480', round(rate * frames / RATE), rate, plain=True))
    ages = {name: float(value) for name, value in bench.counters.items() if name.startswith('age_ms')}
    return row | ages | {'hz': round(rate, 1), 'frame_ms': round(1e3 / rate, 1)} | inference


if __name__ == '__main__':
    sys.exit(main())
