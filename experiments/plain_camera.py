"""Plain rclpy cameras of 15 Hz before the node as it is launched: each image is received or counted as lost.

Each camera is a process of its own: reliable without any profile, and best effort with ours. A camera three
times as fast as the node shows overload: the answer has to be to the newest image, at most one inference and
one frame old when it is published.

Example:
  tools/run python -m experiments.plain_camera
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
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


def camera(size: str, frames: int, rate: float, *, plain: bool) -> subprocess.Popen[bytes]:
    """Start a camera, with the profile of this process unless it is a plain one."""
    words = [size, '--rate', f'{rate}', '--frames', f'{frames}', *([] if plain else ['--best-effort'])]
    environment = {k: v for k, v in os.environ.items() if not (plain and k in PROFILES)}
    return subprocess.Popen([sys.executable, '-m', 'vss_ros.live.still_camera', *words], env=environment)


def watch(bench: Robot, sender: subprocess.Popen[bytes]) -> dict[str, Any]:
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
    """Run and print a line for each camera; 1 where an image is missing that nobody counted."""
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
        print(f'overload: {overload(bench, options.frames)}', flush=True)
    return bool(wrong)


def overload(bench: Robot, frames: int) -> dict[str, Any]:
    """Send three times as fast as the node answers; return counts, latencies and ages of images in ms."""
    watch(bench, camera('360x480', frames, RATE, plain=True))
    inference = float(bench.counters['latency_all_ms_p50'])
    rate = 3e3 / inference
    row = watch(bench, camera('360x480', round(rate * frames / RATE), rate, plain=True))
    ages = {name: float(value) for name, value in bench.counters.items() if name.startswith('age_ms')}
    slowest = float(bench.counters['latency_all_ms_max'])
    return row | ages | {'hz': round(rate, 1), 'frame_ms': round(1e3 / rate, 1), 'inference_ms_max': slowest}


if __name__ == '__main__':
    sys.exit(main())
