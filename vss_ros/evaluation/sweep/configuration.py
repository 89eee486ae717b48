"""What one evaluation run shall do, as plain values that go into files, hashes and other processes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from math import inf, isnan, nan
from typing import Any

from vss_ros.engine.device import choose_device, default_threads
from vss_ros.engine.options import SegmenterConfig
from vss_ros.engine.propagation.base import NO_PROPAGATION
from vss_ros.errors import VssError

PDA_DISTANCES = tuple(range(11))
"""Propagation distances of ``--pda``, frames."""


@dataclass(frozen=True)
class EvaluationConfig:
    """One configuration to evaluate: a segmenter and how its inputs are read and scored.

    Picklable and free of anything opened, so that it can be handed to a worker on another machine.
    """

    segmenter: SegmenterConfig = field(default_factory=lambda: SegmenterConfig(slow_delay=1))
    name: str = ''
    """What tables call it; no part of its identity."""
    image_topic: str = ''
    """Of bags; empty where each has but one."""
    mask_topic: str = ''
    """Of bags; empty for the only topic whose name holds ``mask``."""
    masks: str = ''
    """Folder of true masks for every input that has none of its own; empty for none."""
    agreement: bool = False
    """Whether answers are compared with the per-frame network's even where there are true masks."""
    fps: float = 15.0
    """Rate of image folders, which have no stamps; frames per second."""
    pda: bool = False
    """Whether accuracy over propagation distance is measured too."""
    live: bool = False
    """Whether the real node answers over DDS, when it finds time, rather than a replay that waits for it."""
    rate: float = 1.0
    """Speed at which a live input is played, 1 being its own."""
    repeats: int = 1
    """Replays of each input: a frame's time is their median, scores are the first one's. Not part of the
    identity nor of ``to_dict``: results do not depend on it."""

    def __post_init__(self) -> None:
        """Refuse the real background thread in a replay: its answers come when the machine finds time.

        Raises:
            VssError: The slow track of a replay is not simulated, or rate or repeats make no sense.
        """
        if not 0 < self.rate < inf:
            raise VssError(f"rate {self.rate}: expected a number above 0, 1 for the recording's own speed")
        if self.segmenter.slow_delay < 1 and not self.live:
            msg = f'slow_delay {self.segmenter.slow_delay}: expected 1 or more frames, a simulated slow track'
            raise VssError(msg)
        if self.repeats < 1 or (self.live and self.repeats > 1):
            expected = 'expected 1 or more and, of live runs, of which each is one of its own, 1'
            raise VssError(f'repeats {self.repeats}: {expected}')

    @property
    def passes(self) -> int:
        """How often a replay goes through the frames of an input."""
        return self.repeats + self.pda

    def canonical(self) -> EvaluationConfig:
        """Return the same configuration with the options that have no effect in it set to their defaults.

        ``propagation: none`` asks no scheduler and has no slow track; the blocking track has no delay.
        """
        segmenter, plain = self.segmenter, SegmenterConfig(slow_delay=1)
        if segmenter.propagation == NO_PROPAGATION:
            segmenter = replace(
                segmenter, scheduler=plain.scheduler, threshold=nan, min_interval=1, interval=0,
                track='blocking', motion='auto',
            )  # fmt: skip
        if segmenter.track == 'blocking':
            segmenter = replace(segmenter, slow_delay=1)
        return replace(self, segmenter=segmenter)

    def per_frame(self) -> EvaluationConfig:
        """Return the configuration whose network runs whole on every frame, all else but ``pda`` alike."""
        segmenter = replace(self.segmenter, propagation=NO_PROPAGATION, min_confidence=0.0)
        return replace(self, segmenter=segmenter, pda=False).canonical()

    def as_live(self, rate: float) -> EvaluationConfig:
        """Return the same configuration for the real node at this speed, 1 being the input's own.

        Its slow track is not simulated, and accuracy over propagation distance is measured by replaying only.

        Raises:
            VssError: The rate makes no sense.
        """
        return replace(self, segmenter=replace(self.segmenter, slow_delay=0), live=True, rate=rate, pda=False)

    def as_replay(self) -> EvaluationConfig:
        """Return the same configuration for a replay that waits for every answer."""
        segmenter = replace(self.segmenter, slow_delay=self.segmenter.slow_delay or 1)
        return replace(self, segmenter=segmenter, live=False, rate=1.0)

    def resolved(self) -> EvaluationConfig:
        """Return the same configuration with this machine's choice of device and threads written out.

        Both belong to it: they change sums in their last bits, and so now and then a label. The fast track
        has as many threads as in the node, where the slow track needs its own.

        Raises:
            VssError: The device is not there.
        """
        segmenter = self.canonical().segmenter
        threads = segmenter.threads or default_threads(background=segmenter.track == 'fast_slow')
        device = str(choose_device(segmenter.device))
        return replace(self, segmenter=replace(self.segmenter, threads=threads, device=device))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, a threshold of NaN as None; all but the repeats."""
        values = asdict(self)
        del values['repeats']
        segmenter = values.pop('segmenter')
        if isnan(segmenter['threshold']):
            segmenter['threshold'] = None
        if segmenter['size'] is not None:
            segmenter['size'] = list(segmenter['size'])
        return {'segmenter': segmenter} | values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EvaluationConfig:
        """Return the configuration that ``to_dict`` described."""
        segmenter = dict(values['segmenter'])
        if segmenter['threshold'] is None:
            segmenter['threshold'] = nan
        if segmenter['size'] is not None:
            segmenter['size'] = tuple(segmenter['size'])
        return cls(**(values | {'segmenter': SegmenterConfig(**segmenter)}))

    def digest(self) -> str:
        """Return the SHA-256 of all options but the name; 64 hexadecimal digits."""
        values = self.canonical().to_dict()
        del values['name']
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
