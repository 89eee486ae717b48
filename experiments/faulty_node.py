"""The real node with faults inside: its parameter ``fault`` names the next one, LEAK (environment) a leak.

Nothing of the node is replaced: what it calls is wrapped, and fails as its part would.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any

import torch
from rcl_interfaces.msg import SetParametersResult

from vss_ros.engine.tracks import fast_slow as tracks
from vss_ros.node.main import main as run_node
from vss_ros.node.segmentation_node import SegmentationNode
from vss_ros.node.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from vss_ros.node.intake import Received

HANG_S = 2.0
"""Patience with the slow track, shorter than the node's own: twenty hangs are to be seen in minutes."""
LEAK = os.environ.get('LEAK', '')
IMAGES_A_LEAK = {'memory': 1, 'descriptors': 200, 'threads': 200, 'shared': 50}


class FaultyStream(Stream):
    """Fails once, where the parameter ``fault`` says so; leaks, as the environment says."""

    def __init__(self, node: SegmentationNode, name: str = '') -> None:
        super().__init__(node, name)
        self.armed = ''
        self._leaked: list[Any] = []

    def configure(self, *given: Any, **named: Any) -> None:
        """Wrap what computes."""
        super().configure(*given, **named)
        segmenter = self.segmenter
        assert segmenter is not None
        self._wrap(segmenter, 'step', 'step')
        if isinstance(segmenter.parts.track, tracks.FastSlow):
            self._wrap(segmenter.parts.track.thread, 'compute', 'slow')

    def activate(self) -> None:
        """Wrap what decodes."""
        super().activate()
        self._wrap(self._intake, 'frame', 'decoder')

    def _wrap(self, owner: Any, method: str, part: str) -> None:
        inner: Callable[..., Any] = getattr(owner, method)

        def faulty(*given: Any, **named: Any) -> Any:
            if self.armed.partition(':')[0] == part:
                kind, self.armed = self.armed.partition(':')[2], ''
                fail(kind)
            return inner(*given, **named)

        setattr(owner, method, faulty)

    def _segment(self, received: Received) -> None:
        super()._segment(received)
        if LEAK in IMAGES_A_LEAK and self._frames % IMAGES_A_LEAK[LEAK] == 0:
            self._leaked.append(leak(LEAK))


class FaultyNode(SegmentationNode):
    """Arms its stream with what the parameter ``fault`` says."""

    stream_type = FaultyStream

    def __init__(self, **options: Any) -> None:
        tracks.HANG_S = HANG_S
        super().__init__(**options)
        self.declare_parameter('fault', '')
        self.add_on_set_parameters_callback(self._arm)

    def _arm(self, parameters: list[Any]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name == 'fault':
                for stream in self._streams:
                    vars(stream)['armed'] = parameter.value
        return SetParametersResult(successful=True)


def fail(kind: str) -> None:
    """Fail as a part of the node would.

    Raises:
        torch.OutOfMemoryError: As the CUDA allocator's, where ``kind`` is ``memory``.
        RuntimeError: As a driver's, where ``kind`` is ``error``.
    """
    if kind == 'memory':
        raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB (simulated)')
    if kind == 'error':
        raise RuntimeError('CUDA error: an illegal memory access was encountered (simulated)')
    if kind == 'hang':
        time.sleep(30)
    if kind == 'hang_for_ever':
        threading.Event().wait()


def leak(kind: str) -> Any:
    """Return something that is kept for ever."""
    if kind == 'memory':
        return bytearray(60)
    if kind == 'descriptors':
        return os.open(os.devnull, os.O_RDONLY)
    if kind == 'threads':
        thread = threading.Thread(target=threading.Event().wait, daemon=True)
        thread.start()
        return thread
    file = tempfile.TemporaryFile(dir='/dev/shm')  # noqa: SIM115 (kept)
    file.truncate(16384)
    return mmap.mmap(file.fileno(), 16384)


if __name__ == '__main__':
    run_node(kind=FaultyNode)
