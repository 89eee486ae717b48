"""Every backbone with every propagation, scheduler and track: four frames, or a refusal with its reason."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from functools import cache
from itertools import product
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from engine_parts import SIZE, frame
from torch import nn

from vss_ros.engine.backbones import BACKBONES, Backbone
from vss_ros.engine.backbones.external import External
from vss_ros.engine.build import refusal
from vss_ros.engine.frames import AnsweredBy, FrameResult, Reason
from vss_ros.engine.layers import spatially_variant
from vss_ros.engine.model_card import ModelCard
from vss_ros.engine.motion import MOTIONS
from vss_ros.engine.network_files import trust
from vss_ros.engine.pipeline import Parts, StreamSegmenter
from vss_ros.engine.preprocess import IMAGENET, Preprocessor
from vss_ros.engine.propagation import PROPAGATIONS
from vss_ros.engine.propagation.base import NO_PROPAGATION, Shapes
from vss_ros.engine.schedulers import SCHEDULERS
from vss_ros.engine.tracks import Blocking, SimulatedFastSlow
from vss_ros.engine.whole_network import WholeNetwork

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

CLASSES = 5
CPU = torch.device('cpu')
TRACKS = ('blocking', 'fast_slow')
FEATURES = (
    'refined_warping',
    'spatially_variant_conv',
    'tamed_warping',
    'temporal_holistic_attention',
    'warped_holistic_attention',
)

REFUSED = {
    'only propagation in segmentation space fits': {
        ('external', propagation, scheduler) for propagation in FEATURES for scheduler in ('any',)
    },
    'only schedulers that look at none fit': {
        ('external', propagation, scheduler)
        for propagation in ('distortion_aware', 'flow_warp', 'guided_filter', 'reuse', 'warp_and_repair')
        for scheduler in ('accumulated_deviation', 'feature_threshold', 'predicted_deviation')
    },
}
"""All that cannot work, by reason; whatever is not listed here has to run."""


def reason_for(backbone: str, propagation: str, scheduler: str) -> str | None:
    """Return why this combination is refused, None where it has to run."""
    for reason, combinations in REFUSED.items():
        if {(backbone, propagation, scheduler), (backbone, propagation, 'any')} & combinations:
            return reason
    return None


@cache
def tiny_backbone(name: str) -> Backbone:
    """Return a backbone with random weights; for ``external`` a network that nothing here made."""
    torch.manual_seed(0)
    net = BACKBONES.get(name)(CLASSES)
    if isinstance(net, External):
        layers = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.Conv2d(8, CLASSES, 1)).eval()
        buffer = io.BytesIO()
        torch.export.save(torch.export.export(layers, (torch.randn(1, 3, *SIZE),)), buffer)
        card = ModelCard(
            name='mine',
            kind='backbone',
            builder='external',
            sha256='',
            parameters=0,
            input_size=SIZE,
            mean=IMAGENET.mean,
            std=IMAGENET.std,
            file='mine.pt2',
        )
        trust(hashlib.sha256(buffer.getvalue()).hexdigest())
        net.load_file(buffer.getvalue(), card, CPU)
    # The largest networks take a while even at this size: what was computed once is not computed again.
    net.low, net.high = _remembered(net.low), _remembered(net.high)  # type: ignore[assignment, method-assign]
    return net.eval()


def _remembered(compute: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return a function that computes each distinct input once."""
    known: dict[bytes, Tensor] = {}

    def answer(values: Tensor) -> Tensor:
        key = values.contiguous().numpy().tobytes()
        if key not in known:
            known[key] = compute(values)
        return known[key].clone()

    return answer


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Collect the kernels of every spatially variant convolution."""
    seen: list[Tensor] = []
    plain = spatially_variant._forward

    def recorded(features: Tensor, weights: Tensor) -> Tensor:
        seen.append(weights)
        return plain(features, weights)

    monkeypatch.setattr(spatially_variant, '_forward', recorded)
    return seen


def run(backbone: str, propagation: str, scheduler: str, track: str) -> list[FrameResult]:
    """Segment four frames; every second one may be a key frame."""
    net = tiny_backbone(backbone)
    torch.manual_seed(1)
    decides = SCHEDULERS.get(scheduler)(net.low_channels, max_interval=2).eval()
    cls = None if propagation == NO_PROPAGATION else PROPAGATIONS.get(propagation)
    moves = cls(Shapes.of(net, cls.space)).eval() if cls else None
    network = WholeNetwork(net, moves, decides)
    computes = SimulatedFastSlow(network.compute, 1) if track == 'fast_slow' and moves else Blocking()
    needs_motion = moves is not None and (moves.motion or decides.needs_motion)
    motion = MOTIONS.get('dis')() if needs_motion else None
    stream = StreamSegmenter(
        Parts(net, moves, decides, computes, motion), Preprocessor(IMAGENET, SIZE, net.size_multiple, CPU)
    )
    return [stream.step(frame(index), confidence=True) for index in range(4)]


def check(results: list[FrameResult], propagation: str, track: str) -> None:
    """Check what every frame has to have."""
    for index, result in enumerate(results):
        assert result.frame_index == result.decision.frame_index == index
        assert result.labels.shape == SIZE
        assert result.labels.dtype == np.uint8
        assert result.labels.max() < CLASSES
        assert result.confidence is not None
        assert result.confidence.shape == SIZE
        assert isinstance(result.decision.reason, Reason)
        assert result.decision.frames_since_key in (0, 1)
        assert result.decision.is_key_frame == (result.decision.frames_since_key == 0)
        score, threshold = result.decision.predicted_deviation, result.decision.threshold
        assert isnan(score) or score >= 0
        assert isnan(threshold) == isnan(score)
    if propagation == NO_PROPAGATION:
        assert {result.track for result in results} == {AnsweredBy.FULL}
        return
    assert [r.track for r in results if not r.decision.is_key_frame] == [
        AnsweredBy.PROPAGATED for r in results if not r.decision.is_key_frame
    ]
    # Of noise no two images show the same scene, which a scheduler may notice.
    later = {
        r.track
        for r in results[1:]
        if r.decision.is_key_frame and r.decision.reason is not Reason.SCENE_CHANGE
    }
    assert later <= {AnsweredBy.FAST if track == 'fast_slow' else AnsweredBy.FULL}
    # At low resolution where the slow track starts from the image; see test_first_answers.
    assert results[0].track in {AnsweredBy.FULL, AnsweredBy.FAST if track == 'fast_slow' else AnsweredBy.FULL}


@pytest.mark.parametrize('propagation', [NO_PROPAGATION, *(member.name for member in PROPAGATIONS)])
@pytest.mark.parametrize('backbone', [member.name for member in BACKBONES])
def test_every_combination_runs_or_is_refused(backbone: str, propagation: str, kernels: list[Tensor]) -> None:
    done: Counter[Any] = Counter()
    for scheduler, track in product((member.name for member in SCHEDULERS), TRACKS):
        cls = None if propagation == NO_PROPAGATION else PROPAGATIONS.get(propagation)
        expected = reason_for(backbone, propagation, scheduler)
        fault = refusal(tiny_backbone(backbone), cls, SCHEDULERS.get(scheduler))
        if expected is not None:
            assert fault is not None
            assert expected in fault
        else:
            assert fault is None
            check(run(backbone, propagation, scheduler, track), propagation, track)
        done[expected] += 1
    assert sum(done.values()) == len(list(SCHEDULERS)) * len(TRACKS)
    for weights in kernels:
        assert bool(torch.isfinite(weights).all())
        # GSVNet's weights sum to one together with that of the crude segmentation.
        total = weights.sum(1)
        assert bool((total <= 1 + 1e-4).all())
        if propagation == 'spatially_variant_conv':
            assert torch.allclose(total, torch.ones_like(total), atol=1e-4)


def test_every_listed_refusal_names_parts_that_exist() -> None:
    for backbone, propagation, scheduler in set().union(*REFUSED.values()):
        assert backbone in BACKBONES
        assert propagation in PROPAGATIONS
        assert scheduler == 'any' or scheduler in SCHEDULERS
