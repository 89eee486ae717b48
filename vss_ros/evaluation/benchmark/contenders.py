"""Who competes: the network on every frame in every runtime, every propagation on every track."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vss_ros.engine.propagation import PROPAGATIONS
from vss_ros.engine.propagation.base import NO_PROPAGATION
from vss_ros.engine.runtimes import RUNTIMES
from vss_ros.engine.runtimes.openvino import has_bf16
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from vss_ros.engine.model_card import ModelCard
    from vss_ros.engine.options import SegmenterConfig
    from vss_ros.engine.runtimes import Runtime

REFERENCE = ('torch', 'f32')
"""Runtime and precision that the papers' own figures compare with."""
WHOLE = 'network on every frame'
FIXED = {'scheduler': 'fixed_interval'}
SCHEDULES: dict[str, dict[str, Any]] = {
    'spatially_variant_conv': {'scheduler': 'predicted_deviation'},
    'temporal_holistic_attention': {**FIXED, 'interval': 5},
    'warped_holistic_attention': {**FIXED, 'interval': 5},
    'distortion_aware': {**FIXED, 'interval': 6},
    'guided_filter': {**FIXED, 'interval': 4},
    'tamed_warping': {**FIXED, 'interval': 12},
    'refined_warping': {'scheduler': 'accumulated_deviation'},
    'warp_and_repair': {**FIXED, 'interval': 5},
    'flow_warp': {**FIXED, 'interval': 5},
    'reuse': {**FIXED, 'interval': 5},
}
"""What decides about key frames with each propagation: its paper's, else the default of all options. Never
every second frame: of a blocking track half the frames would take long, and the median fall between."""
QUICK = ('refined_warping', 'spatially_variant_conv', 'warp_and_repair', 'flow_warp')
"""Propagations of a quick benchmark: ours, the first paper's, two without the network's features."""
KEPT_BUSY = ('flow_warp', 'warp_and_repair')
"""Those whose slow track never waits, as by default; on a blocking track that would be the whole network."""


@dataclass(frozen=True)
class Contender:
    """One way to answer frames."""

    name: str
    config: SegmenterConfig
    """With runtime, precision, size and threads; of a user's own network only those four count."""
    file: str = ''
    """A user's own ``.onnx``; empty for a segmenter of ours."""

    @property
    def kind(self) -> str:
        """``own``, ``per_frame`` or ``propagation``."""
        if self.file:
            return 'own'
        return 'per_frame' if self.config.propagation == NO_PROPAGATION else 'propagation'


def per_frame(
    base: SegmenterConfig, card: ModelCard, device: torch.device, runtimes: Sequence[str], *, quick: bool
) -> list[Contender]:
    """Return the whole network on every frame, in each runtime at each precision that may run here.

    Quickly only at those among which ``auto`` would choose.
    """
    plain = replace(base, propagation=NO_PROPAGATION, track='blocking')
    if card.file.endswith('.pt2'):  # a program, which PyTorch alone runs
        return [Contender(WHOLE, replace(plain, runtime=REFERENCE[0], precision=REFERENCE[1]))]
    return [
        Contender(WHOLE, replace(plain, runtime=name, precision=precision))
        for name in runtimes
        if (device.type == 'cpu' or name != 'openvino') and not (card.file and name == REFERENCE[0])
        for precision in _precisions(RUNTIMES.get(name), card, device, quick=quick)
    ]


def _precisions(runtime: type[Runtime], card: ModelCard, device: torch.device, *, quick: bool) -> list[str]:
    try:
        offered = {*runtime.candidates(card, device), *([] if quick else ['f32'])}
        if not quick and device.type == 'cpu' and has_bf16():
            offered.add('bf16')
    except VssError:  # OpenVINO is not there; building says so
        return ['f32']
    return [precision for precision in runtime.precisions if precision in offered]


def propagations(
    base: SegmenterConfig, names: Sequence[str], tracks: Sequence[str], runtimes: Sequence[tuple[str, str]]
) -> list[Contender]:
    """Return each propagation with its usual scheduler, on each track, at each runtime and precision."""
    return [
        Contender(
            f'{name}, {track}',
            replace(
                base, propagation=name, track=track, runtime=runtime, precision=precision,
                **({} if track == 'fast_slow' and name in KEPT_BUSY else SCHEDULES.get(name, {})),
            ),
        )
        for runtime, precision in runtimes
        for name in names
        for track in tracks
    ]  # fmt: skip


def own(base: SegmenterConfig, file: str, runtimes: Sequence[str]) -> list[Contender]:
    """Return a user's network in each runtime that opens such files."""
    f32 = [('openvino', 'f32'), ('onnxruntime', 'f32')]
    wanted = [*f32, *([('openvino', 'bf16')] if 'openvino' in runtimes and has_bf16() else [])]
    return [
        Contender(Path(file).name, replace(base, runtime=runtime, precision=precision), file)
        for runtime, precision in wanted
        if runtime in runtimes
    ]


def all_propagations() -> list[str]:
    """Return the names of all that are registered."""
    return [member.name for member in PROPAGATIONS]


def all_runtimes() -> list[str]:
    """Return the names of all that are registered."""
    return [member.name for member in RUNTIMES]
