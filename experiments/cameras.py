"""Four cameras in one node: what is answered and when, while one after the other dies, floods, sends rubbish.

First one camera in a node of its own, then all in one. Recordings are played by processes of their own at 15
Hz, 480x360. A phase in which all are well lies before and after each with a fault: what the fault changes is
the p99 of the others beside the mean of the two. Latencies are from an image's receipt to its mask.

Examples:
  python -m experiments.cameras -o cameras
  python -m experiments.cameras -o cameras --seconds 40 --rounds 3 --source ../camvid_val_bag --cores 2
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from rclpy.node import Node
from sensor_msgs.msg import Image

from experiments.standing_scene import cpu_seconds
from vss_ros.command_line import add, new_parser, run_program
from vss_ros.files import write_json
from vss_ros.latency import percentiles
from vss_ros.live.node_start import _memory_mb
from vss_ros.live.observer import graph
from vss_ros.live.run import EXECUTABLES, START_SECONDS, Child, stay_apart
from vss_ros.msg import KeyFrameDecision
from vss_ros.node.conversions import stamp_to_ns
from vss_ros.node.serialised_image import image_of
from vss_ros.resources import resource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rclpy.executors import SingleThreadedExecutor

EXECUTABLES['rig_camera'] = 'experiments.rig_camera'
CAMERAS = ('front', 'rear', 'left', 'right')
FAULTS = ('killed', 'flooded', 'rubbish')
SIGNALS = {'flooded': signal.SIGUSR1, 'rubbish': signal.SIGUSR2, 'good': signal.SIGHUP}
SETTLE_S, MATCH_S = 3.0, 5.0


class Listener(Node):  # type: ignore[misc,unused-ignore]
    """Subscribes to the masks and decisions of all cameras, as a planner would."""

    def __init__(self, executor: SingleThreadedExecutor, names: Sequence[str]) -> None:
        super().__init__('planner', context=executor.context, start_parameter_services=False)
        executor.add_node(self)
        self.masks: dict[str, set[int]] = defaultdict(set)
        self.decisions: dict[str, list[tuple[int, float, bool]]] = defaultdict(list)
        for name in names:
            base = f'/segmentation/{name}'.rstrip('/')
            self.create_subscription(Image, f'{base}/mask', lambda m, n=name: self._mask(n, m), 10, raw=True)
            self.create_subscription(
                KeyFrameDecision, f'{base}/key_frame', lambda d, n=name: self._decision(n, d), 50
            )

    def _mask(self, name: str, data: bytes) -> None:
        self.masks[name].add(stamp_to_ns(image_of(data).header.stamp))

    def _decision(self, name: str, decision: KeyFrameDecision) -> None:
        row = stamp_to_ns(decision.header.stamp), decision.latency, decision.is_key_frame
        self.decisions[name].append(row)

    def spin(self, seconds: float) -> None:
        """Listen for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)


class Rig:
    """The node, its cameras and who listens, until ``close``."""

    def __init__(self, names: Sequence[str], source: str, folder: Path, words: Sequence[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.names, self._source, self._folder = names, source, folder
        self._stack = ExitStack()
        given = ['--ros-args', '--params-file', str(resource('config', 'segment.yaml'))]
        pairs = [*words, *([f'cameras:=[{", ".join(names)}]'] if names[0] else [])]
        given += [word for pair in pairs for word in ('-p', pair)]
        self.node = self._stack.enter_context(Child('segmentation_node', given, folder))
        self.node.wait_for('waiting for images', START_SECONDS)
        executor = self._stack.enter_context(graph())
        self.listener = Listener(executor, names)
        self._stack.callback(self.listener.destroy_node)
        self.cameras: dict[str, Child] = {}
        self._files: dict[str, list[Path]] = defaultdict(list)
        for name in names:
            self.plug_in(name)
        for camera in self.cameras.values():
            camera.wait_for('sends', START_SECONDS)
        self.listener.spin(MATCH_S + SETTLE_S)

    def plug_in(self, name: str) -> None:
        """Start a camera."""
        number = self.names.index(name)
        folder = self._folder / f'{name or "camera"}{len(self._files[name])}'
        folder.mkdir()
        self._files[name].append(folder / 'sent.txt')
        words = [self._source, '--first', str(7 * number), '--sent', str(self._files[name][-1])]
        words += ['--ros-args', '-r', f'image_raw:=/{name}/image_raw'.replace('//', '/')]
        self.cameras[name] = self._stack.enter_context(Child('rig_camera', words, folder))

    def phase(self, kind: str, camera: str, seconds: float) -> dict[str, Any]:
        """Let one camera misbehave, measure, and make it good again."""
        if kind == 'killed':
            self.cameras[camera].signal(signal.SIGKILL)
        elif kind in SIGNALS:
            self.cameras[camera].signal(SIGNALS[kind])
        self.listener.spin(SETTLE_S)
        began, cpu, begin_ns = time.monotonic(), cpu_seconds(self.node.pid), time.time_ns()
        self.listener.spin(seconds)
        took, end_ns = time.monotonic() - began, time.time_ns()
        done = {'kind': kind, 'camera': camera, 'from_ns': begin_ns, 'to_ns': end_ns}
        done['cpu'] = round((cpu_seconds(self.node.pid) - cpu) / took, 3)
        done['memory_mb'] = round(_memory_mb(self.node.pid)[0], 1)
        done['load'] = os.getloadavg()[0]
        if kind == 'killed':
            self.plug_in(camera)
            while 'sends' not in self.cameras[camera].log.read_text():
                self.listener.spin(0.1)
            self.listener.spin(MATCH_S)
        elif kind in SIGNALS:
            self.cameras[camera].signal(SIGNALS['good'])
        self.listener.spin(SETTLE_S)
        return done

    def close(self) -> dict[str, list[int]]:
        """End all; return the stamps of the good images that each camera sent."""
        for camera in self.cameras.values():
            camera.stop()
        self.listener.spin(1.0)
        self.node.stop()
        self._stack.close()
        return {
            name: [int(line) for file in files for line in file.read_text().splitlines()]
            for name, files in self._files.items()
        }


def figures(rig: Rig, phases: list[dict[str, Any]], sent: dict[str, list[int]]) -> None:
    """Add to each phase what became of the images that were sent in it."""
    for phase in phases:
        begin, end = phase['from_ns'], phase['to_ns']
        phase['cameras'] = {}
        for name in rig.names:
            stamps = [stamp for stamp in sent[name] if begin <= stamp < end]
            rows = [row for row in rig.listener.decisions[name] if begin <= row[0] < end]
            answered = len(rig.listener.masks[name].intersection(stamps))
            phase['cameras'][name] = {
                'sent': len(stamps),
                'answered': round(answered / len(stamps), 4) if stamps else None,
                'key_frames': sum(row[2] for row in rows),
                **percentiles([row[1] for row in rows]),
            }


def changes(phases: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return by how much each fault changed the p99 of each other camera, as a share."""
    made = []
    for before, phase, after in zip(phases, phases[1:], phases[2:], strict=False):
        if phase['kind'] == 'well':
            continue
        for name, figure in phase['cameras'].items():
            beside = [
                near['cameras'][name]['p99'] for near in (before, after) if 'p99' in near['cameras'][name]
            ]
            if name != phase['camera'] and beside and 'p99' in figure:
                usual = mean(beside)
                change = round(figure['p99'] / usual - 1, 3)
                made.append({'fault': phase['kind'], 'of': phase['camera'], 'camera': name, 'change': change})
    return made


def measure(source: str, folder: Path, seconds: float, rounds: int, words: Sequence[str]) -> dict[str, Any]:
    """Return all figures; ``words`` are further parameters of the node."""
    stay_apart()
    one = Rig([''], source, folder / 'one', words)
    alone = [one.phase('well', '', seconds)]
    figures(one, alone, one.close())
    rig = Rig(CAMERAS, source, folder / 'all', words)
    phases = [rig.phase('well', '', seconds)]
    for number in range(rounds * len(FAULTS)):
        camera, kind = CAMERAS[number // len(FAULTS) % len(CAMERAS)], FAULTS[number % len(FAULTS)]
        phases += [rig.phase(kind, camera, seconds), rig.phase('well', '', seconds)]
    figures(rig, phases, rig.close())
    well = [phase for phase in phases if phase['kind'] == 'well']
    more = (well[0]['memory_mb'] - alone[0]['memory_mb']) / len(CAMERAS)
    least = min(camera['answered'] or 0 for phase in well for camera in phase['cameras'].values())
    made = changes(phases)
    return {
        'alone': alone[0], 'phases': phases, 'changes': made, 'memory_mb_a_camera': round(more, 1),
        'least_answered': least, 'worst_change': max((row['change'] for row in made), default=None),
        'bars': {'answered': least >= 0.95, 'memory': more <= 60,
                 'apart': bool(made) and all(row['change'] <= 0.2 for row in made)},
    }  # fmt: skip


def table(results: dict[str, Any]) -> str:
    """Return the figures as Markdown: a row a phase and camera."""
    head = 'phase | of | camera | answered | p50 ms | p99 ms | max ms | key frames | CPU | memory MB | load'
    lines = [head, ' | '.join('---' for _ in head.split('|'))]
    for phase in (results['alone'], *results['phases']):
        for name, row in phase['cameras'].items():
            answered = '' if row['answered'] is None else f'{100 * row["answered"]:.1f} %'
            cells = [phase['kind'], phase['camera'], name or 'alone', answered]
            cells += [f'{row[key]:.1f}' if key in row else '' for key in ('p50', 'p99', 'max')]
            cells += [str(row['key_frames']), f'{phase["cpu"]:.2f}', f'{phase["memory_mb"]:.0f}']
            lines.append(' | '.join([*cells, f'{phase["load"]:.1f}']))
    lines = [f'| {line} |' for line in lines] + ['']
    lines += [f'{r["of"]} {r["fault"]}: p99 of {r["camera"]} {r["change"]:+.1%}' for r in results['changes']]
    lines += [
        f'memory: {results["memory_mb_a_camera"]} MB a camera more than one node of one',
        str(results['bars']),
    ]
    return '\n'.join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write ``cameras.json``, print the table."""
    parser = new_parser('cameras', __doc__)
    add(parser, '-o --output DIR', 'folder of the figures and logs, new', required=True)
    add(parser, '--source', 'recording that all cameras play', str(resource('test', 'data', 'street')))
    add(parser, '--seconds S', 'of each phase', 20.0)
    add(parser, '--rounds N', 'each fault once a round, of another camera', 1)
    add(parser, '--cores N', 'CPU cores for all processes; 0: all there are', 2)
    add(parser, '--parameters NAME:=VALUE', 'further ones of the node', [], nargs='*')
    options = parser.parse_args(arguments)
    if options.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    folder = Path(options.output)
    results = measure(options.source, folder, options.seconds, options.rounds, options.parameters)
    write_json(folder / 'cameras.json', results)
    sys.stdout.write(table(results) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(run_program('cameras', main))
