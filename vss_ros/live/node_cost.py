"""What the node costs beside the network: from an image's receipt to its published mask, stage by stage.

A real node (with a clock at each stage) and a camera run as processes of their own; this one listens. The
network is the cheapest there is, since its time is subtracted: each stage of an image's way is stated, and
``beyond``, from the middleware's receipt of the image until the mask's ``publish`` returns, less computing.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import Image

from vss_ros.errors import VssError
from vss_ros.latency import percentiles
from vss_ros.live.observer import graph
from vss_ros.live.run import START_SECONDS, Child, stay_apart
from vss_ros.resources import resource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rclpy.executors import SingleThreadedExecutor

SIZES = ((360, 480), (720, 960), (1080, 1920), (1024, 2048))
"""Height and width of the cameras' images."""
RATE = 15.0
WARM_UP = 10
"""First images of a phase that are not counted: buffers of its size are made."""
CHEAP = (
    'propagation:=flow_warp', 'scheduler:=fixed_interval', 'interval:=100000', 'track:=blocking',
    'size:=96x128', 'threads:=1',
)  # fmt: skip
COPIES = 50


@dataclass(frozen=True)
class NodeCost:
    """One size of images, rgb8 in, mono8 out, with or without a subscriber to the overlay."""

    height: int
    width: int
    overlay: bool
    sent: int
    delivered: float
    """Share of the images whose mask arrived at a subscriber."""
    stages_ms: dict[str, dict[str, float]]
    """Milliseconds (p50, p95, p99, max) by stage.

    ``take``: from the middleware's receipt to the callback, with deserialising; ``wait``: until the worker
    begins; ``decode``; ``compute``; ``mask``: from the result to the mask's message; ``publish``; ``beyond``:
    all of these but ``compute``; ``after``: what is published later, the overlay by far the most of it.
    """
    cpu_ms: float
    """CPU time of the whole process per image."""
    cpu_beyond_ms: float
    """The same, less the computing."""
    copy_ms: float
    """A plain copy of the image's bytes into memory in use, median."""
    fresh_copy_ms: float
    """A plain copy into new memory, median."""
    resident_mb: tuple[float, float]
    """Memory of the process after the first counted image and after the last."""
    late_ms: dict[str, float]
    """How late a thread that ticks every millisecond ran in the node's process; empty without ``ticker``."""
    idle_late_ms: dict[str, float]
    """The same in a process beside it that does nothing else: what is of the system's making."""


def measure_node_cost(
    *,
    quick: bool = False,
    sizes: Sequence[tuple[int, int]] | None = None,
    overlays: Sequence[bool] | None = None,
    frames: int | None = None,
    parameters: Sequence[str] = (),
    ticker: bool = False,
) -> list[NodeCost]:
    """Measure on this machine, at each of the sizes, without and with the overlay.

    Args:
        quick: Two sizes, few images, no overlay.
        sizes: Heights and widths in place of ``SIZES``.
        overlays: ``(False,)`` to leave the overlay out.
        frames: Counted images of each phase.
        parameters: Further ``NAME:=VALUE`` for the node.
        ticker: Let a thread in the node's process note how late it gets to run; costs a little of all else.
    """
    sizes = sizes or (SIZES[:2] if quick else SIZES)
    overlays = overlays or ((False,) if quick else (False, True))
    frames = WARM_UP + (frames or (40 if quick else 150))
    stay_apart()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        timings = Path(folder) / 'timings.json'
        words = ['--ros-args', '--params-file', str(resource('config', 'segment.yaml'))]
        ticks = {name: Path(folder) / f'{name}.json' for name in ('node', 'idle')} if ticker else {}
        more = [f'ticks:={ticks["node"]}'] if ticker else []
        for pair in (*CHEAP, f'timings:={timings}', *more, *parameters):
            words += ['-p', pair]
        idle = stack.enter_context(Child('ticker', [str(ticks['idle'])], Path(folder))) if ticker else None
        node = stack.enter_context(Child('timed_node', words, Path(folder)))
        node.wait_for('waiting for images', START_SECONDS)
        executor = stack.enter_context(graph())
        listener = _Listener(executor)
        stack.callback(listener.destroy_node)
        arrived = {}
        for overlay in overlays:
            listener.listen(overlay=overlay)
            for size in sizes:
                phase = f'{size[0]} {size[1]} {int(overlay)}'
                arrived[phase] = listener.watch(phase, size, frames, Path(folder))
        node.stop()
        if idle is not None:
            idle.stop()
        rows = json.loads(timings.read_text())
        late = [json.loads(file.read_text()) for file in ticks.values()]
    return [_summary(phase, frames, masks, rows, late) for phase, masks in arrived.items()]


class _Listener(Node):
    """Subscribes as a planner would, and counts masks."""

    def __init__(self, executor: SingleThreadedExecutor) -> None:
        super().__init__('planner', context=executor.context, start_parameter_services=False)
        executor.add_node(self)
        self._masks = 0
        self._overlay: Any = None
        self.create_subscription(Image, '/segmentation/mask', self._count, 10, raw=True)

    def _count(self, _: bytes) -> None:
        self._masks += 1

    def _ignore(self, _: bytes) -> None:
        pass

    def listen(self, *, overlay: bool) -> None:
        """Subscribe to the overlay, too, or no longer."""
        if self._overlay is not None:
            self.destroy_subscription(self._overlay)
        self._overlay = None
        if overlay:
            topic = '/segmentation/overlay'
            self._overlay = self.create_subscription(Image, topic, self._ignore, 10, raw=True)

    def watch(self, phase: str, size: tuple[int, int], frames: int, folder: Path) -> int:
        """Let a camera run and return how many masks came."""
        before = self._masks
        words = ['x'.join(map(str, size)), '--rate', str(RATE), '--frames', str(frames), '--frame-id', phase]
        with Child('still_camera', words, folder) as camera:
            while camera.poll() is None:
                self.executor.spin_once(timeout_sec=0.1)
            camera.stop()
        return self._masks - before


def _summary(
    phase: str,
    frames: int,
    masks: int,
    every: Sequence[dict[str, Any]],
    late: Sequence[Sequence[tuple[float, float]]],
) -> NodeCost:
    height, width, overlay = map(int, phase.split())
    rows = [row for row in every if row['phase'] == phase][WARM_UP:]
    if not rows:
        raise VssError(
            f'expected masks of {width}x{height} images, got {masks} of {frames}; is the machine busy?'
        )
    stages = [_stages(row) for row in rows]
    answered = max(len(rows) - 1, 1)
    cpu = (rows[-1]['cpu'] - rows[0]['cpu']) / answered * 1e3
    computing = sum(row['compute'][2] for row in rows[1:]) / answered * 1e3
    begin, end = rows[0]['came'], rows[-1]['end']
    lateness = [percentiles([tick for due, tick in ticks if begin < due < end]) for ticks in late]
    copy_ms, fresh_ms = _copies(3 * height * width)
    return NodeCost(
        height, width, bool(overlay), frames, masks / frames,
        {name: percentiles([stage[name] for stage in stages]) for name in stages[0]},
        round(cpu, 2), round(cpu - computing, 2), copy_ms, fresh_ms,
        (round(rows[0]['resident_mb'], 1), round(rows[-1]['resident_mb'], 1)),
        *(lateness or ({}, {})),
    )  # fmt: skip


def _stages(row: dict[str, Any]) -> dict[str, float]:
    spans = {name: row[name][1] - row[name][0] for name in ('decode', 'compute', 'publish')}
    return {
        'take': row['taken'] - row['came'],
        'wait': row['begin'] - row['taken'],
        'decode': spans['decode'],
        'mask': row['publish'][0] - row['compute'][1],
        'publish': spans['publish'],
        'beyond': row['publish'][1] - row['came'] - spans['compute'],
        'compute': spans['compute'],
        'after': row['end'] - row['publish'][1],
    }


def _copies(size: int) -> tuple[float, float]:
    """Return medians of copying bytes into memory in use and into new memory, milliseconds."""
    source = np.ones(size, np.uint8)
    target, used, fresh = np.empty_like(source), [], []
    for _ in range(COPIES):
        start = time.perf_counter()
        np.copyto(target, source)
        used.append(time.perf_counter() - start)
        start = time.perf_counter()
        bytes(source.data)
        fresh.append(time.perf_counter() - start)
    return percentiles(used)['p50'], percentiles(fresh)['p50']


def table(costs: Sequence[NodeCost]) -> str:
    """Return the figures as a Markdown table, a row a phase; p50 and p99 of each stage."""
    names = [name for name in costs[0].stages_ms if name != 'compute']
    head = [
        'images',
        'overlay',
        'delivered',
        *names,
        'CPU beyond / all',
        'copy',
        'memory MB',
        'late p99 / max',
        'idle late',
    ]
    lines = [' | '.join(head), ' | '.join('---' for _ in head)]
    for cost in costs:
        stages = [cost.stages_ms.get(name, {}) for name in names]
        cells = [f'{cost.width}x{cost.height}', 'yes' if cost.overlay else 'no', f'{cost.delivered:.3f}']
        cells += [f'{s["p50"]:.2f} / {s["p99"]:.2f}' if s else '' for s in stages]
        cells += [
            f'{cost.cpu_beyond_ms:.2f} / {cost.cpu_ms:.2f}',
            f'{cost.copy_ms:.2f}, {cost.fresh_copy_ms:.2f}',
        ]
        cells += ['{:.0f}, {:.0f}'.format(*cost.resident_mb)]
        for late in (cost.late_ms, cost.idle_late_ms):
            cells += [f'{late["p99"]:.2f} / {late["max"]:.2f}' if late else '']
        lines.append(' | '.join(cells))
    return '\n'.join(f'| {line} |' for line in lines)


def main() -> int:
    """Print the table, or with --json the figures."""
    costs = measure_node_cost(quick='--quick' in sys.argv, ticker='--ticker' in sys.argv)
    text = json.dumps([asdict(cost) for cost in costs]) if '--json' in sys.argv else table(costs)
    sys.stdout.write(text + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
