"""From names to a ready segmenter.

Example:
    built = build_segmenter(SegmenterConfig(propagation='tamed_warping', track='blocking'))
    labels = built.segmenter.step(Frame(image, stamp_ns, index)).labels
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from vss_ros.engine.backbones import BACKBONES, Backbone
from vss_ros.engine.confidence import Confidence
from vss_ros.engine.device import CPU, META, choose_device, use_threads
from vss_ros.engine.layers.fuse import fuse_for_inference
from vss_ros.engine.model_card import FromFile, ModelCard, has_card, load_weights, read_card, read_weights
from vss_ros.engine.motion import MOTIONS, MotionEstimator
from vss_ros.engine.network_files import trust
from vss_ros.engine.option import written_size
from vss_ros.engine.options import TRACKS
from vss_ros.engine.pipeline import Parts, StreamSegmenter
from vss_ros.engine.preprocess import Normalisation, Preprocessor, checked_size
from vss_ros.engine.propagation import PROPAGATIONS, Propagation
from vss_ros.engine.propagation.base import AUTO, NO_PROPAGATION, REPAIRS, Shapes, Space
from vss_ros.engine.runtimes.choose import fastest, make_runtimes, runtime_class
from vss_ros.engine.schedulers import SCHEDULERS, Scheduler
from vss_ros.engine.tracks import Blocking, FastSlow, SimulatedFastSlow, Track
from vss_ros.engine.whole_network import WholeNetwork
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vss_ros.engine.options import SegmenterConfig
    from vss_ros.engine.registry import Registry
    from vss_ros.engine.runtimes.base import Runtime

LAYER_MARK = '@'
"""Stands in a card's name before the interior layer, where that is not the backbone's own."""
REGISTRIES: dict[str, Registry[Any]] = {
    'backbone': BACKBONES,
    'propagation': PROPAGATIONS,
    'scheduler': SCHEDULERS,
    'motion': MOTIONS,
}
"""Of the parts that have weights, by the kinds of model cards."""


@dataclass(frozen=True, slots=True)
class Built:
    """A ready segmenter and the cards it was built from."""

    segmenter: StreamSegmenter
    card: ModelCard
    device: torch.device
    runtime: Runtime
    """What computes the networks, why that, and what it could not compile."""


def build_segmenter(
    config: SegmenterConfig, *, on_slow_track_error: Callable[[BaseException], None] | None = None
) -> Built:
    """Load cards and weights and put the parts together.

    Raises:
        VssError: Unknown names, missing or damaged weights, parts that do not fit, a missing device.
    """
    device = choose_device(config.device)
    card = read_card(config.model)
    config = replace(config, propagation=propagation_name(config, card))
    if config.trust:
        trust(card.sha256)
    _check(config, card)
    # Before a network opens that keeps them; a simulated or a blocking track has no thread of its own.
    background = (
        config.track == 'fast_slow' and config.propagation != NO_PROPAGATION and not config.slow_delay
    )
    use_threads(config.threads, background=background)
    runtimes = make_runtimes(config, card, device)
    backbone, propagation, scheduler, motion, size = _parts(config, card, device, runtimes[0])
    statistics = Normalisation(card.mean, card.std)  # type: ignore[arg-type]
    preprocess = Preprocessor(statistics, card.input_size, backbone.size_step, device, size)

    def network(runtime: Runtime, moves: Propagation | None) -> WholeNetwork:
        return WholeNetwork(backbone, moves, scheduler, motion, runtime=runtime, statistics=statistics)

    shape = preprocess.size(card.input_size)
    pixels = torch.zeros((1, *shape, 3), dtype=torch.uint8, device=device)
    measured: dict[Runtime, WholeNetwork] = {}

    def whole(one: Runtime) -> Callable[[], object]:
        measured[one] = network(one, None)
        return partial(measured[one].compute, pixels)

    runtime = fastest(
        runtimes, whole, f'the whole network at {written_size(shape)}',
        (card.sha256, card.int8.get('sha256'), shape),
    )  # fmt: skip
    work = network(runtime, propagation)
    if runtime in measured:
        work.take_over(measured[runtime])
    parts = Parts(backbone, propagation, scheduler, _track(config, work), motion)
    calibration = card.calibration.get(config.propagation) or next(iter(card.calibration.values()), None)
    segmenter = StreamSegmenter(
        parts, preprocess, network=work, max_gap_ns=round(config.max_gap * 1e9),
        confidence=Confidence(calibration, card.class_names, config.min_confidence),
        on_slow_track_error=on_slow_track_error,
    )  # fmt: skip
    return Built(segmenter, card, device, runtime)


def outline_segmenter(config: SegmenterConfig) -> tuple[ModelCard, Parts]:
    """Return the card and the parts of a segmenter without their weights: what they are, not to be run.

    In about half the time this refuses what ``build_segmenter`` refuses, by the same ``VssError``; files of
    weights are only compared with the hashes on their cards.
    """
    device = choose_device(config.device)
    card = read_card(config.model)
    config = replace(config, propagation=propagation_name(config, card))
    if config.trust:
        trust(card.sha256)
    _check(config, card)
    runtime = runtime_class(config, device)(device, 'f32', 1)
    if config.precision != 'auto':
        (runtime,) = make_runtimes(config, card, device)
    backbone, propagation, scheduler, motion, _ = _parts(config, card, META, runtime)
    return card, Parts(backbone, propagation, scheduler, Blocking(), motion)


def _parts(
    config: SegmenterConfig, card: ModelCard, device: torch.device, runtime: Runtime
) -> tuple[Backbone, Propagation | None, Scheduler, MotionEstimator | None, tuple[int, int] | None]:
    """Return the parts with their weights and the network's input size; on ``META``, without weights."""
    backbone = new_backbone(card, config.interior)
    _load(backbone, card, device, runtime)
    size = checked_size(config.size, backbone.size_multiple, backbone.fixed_size)
    propagation = None
    if config.propagation != NO_PROPAGATION:
        propagation = _new_propagation(config.propagation, backbone)
        _load_part(propagation, card, backbone, config.propagation, 'propagation', device)
    scheduler = _scheduler(config, card, backbone, device)
    estimator = motion_name(config.motion, propagation, scheduler)
    motion = build_motion(estimator, device) if estimator else None
    if runtime.name == 'torch' and device != META:  # other compilers merge layers themselves
        for module in (backbone, propagation, scheduler, motion):
            if module is not None:
                fuse_for_inference(module, device)
                module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return backbone, propagation, scheduler, motion, size


def propagation_name(config: SegmenterConfig, card: ModelCard) -> str:
    """Return the propagation that is meant: for ``auto`` the one that repairs, where the network has it."""
    chosen = REPAIRS if has_card(part_card_name(card, REPAIRS)) else 'flow_warp'
    return chosen if config.propagation == AUTO else config.propagation


def _check(config: SegmenterConfig, card: ModelCard) -> None:
    if not 0 < config.slow_duty <= 1:
        raise VssError(f'slow_duty {config.slow_duty}: expected a share over 0 and at most 1')
    if not 0 <= config.min_confidence <= 1:
        raise VssError(f'min_confidence {config.min_confidence}: expected a share of one')
    if config.threads < 0 or config.slow_delay < 0 or not config.max_gap > 0:
        raise VssError(
            'expected threads and slow_delay of 0 or more and a positive max_gap, '
            f'got {config.threads}, {config.slow_delay} and {config.max_gap}'
        )
    card.expect('backbone')
    card.expect_images()
    propagations = [AUTO, NO_PROPAGATION, *(member.name for member in PROPAGATIONS)]
    if config.propagation not in propagations:
        raise VssError(
            f'no propagation is called {config.propagation!r}; expected one of: {", ".join(propagations)}'
        )
    if config.track not in TRACKS:
        raise VssError(f'no track is called {config.track!r}; expected one of: {", ".join(TRACKS)}')
    propagation = None if config.propagation == NO_PROPAGATION else PROPAGATIONS.get(config.propagation)
    reason = refusal(BACKBONES.get(card.builder), propagation, SCHEDULERS.get(config.scheduler))
    if reason is not None:
        raise VssError(f'{card.name}: {reason}')


def refusal(
    backbone: type[Backbone] | Backbone, propagation: type[Propagation] | None, scheduler: type[Scheduler]
) -> str | None:
    """Return why these parts cannot work together, None where they can.

    A network without features (one from a user's file) has only its image and its logits to offer: nothing
    that looks at F_l or moves F_h fits it. Where the whole network runs on every frame (``propagation`` is
    None), the scheduler is not used, so that any will do.
    """
    if propagation is None or backbone.has_features:
        return None
    if propagation.space is not Space.SEGMENTATION or propagation.needs_low:
        fitting = [m.name for m in PROPAGATIONS if m.cls.space is Space.SEGMENTATION and not m.cls.needs_low]
        return _only('propagation in segmentation space fits', fitting, PROPAGATIONS, propagation)
    if scheduler.needs_low:
        fitting = [m.name for m in SCHEDULERS if not m.cls.needs_low]
        return _only('schedulers that look at none fit', fitting, SCHEDULERS, scheduler)
    return None


def _only(what: str, fitting: list[str], registry: Registry[Any], cls: type) -> str:
    got = next((member.name for member in registry if member.cls is cls), cls.__name__)
    return f'this network has no features, so only {what}: {", ".join(fitting)}; got {got}'


def new_backbone(card: ModelCard, interior: int = 0) -> Backbone:
    """Return a backbone card's network, with random weights, cut at an interior layer (0: its own).

    Raises:
        VssError: Unknown builder, or a layer that the backbone does not offer.
    """
    cls = BACKBONES.get(card.builder)
    if not interior:
        return cls(len(card.class_names))
    if interior not in cls.interior_layers:
        offered = ', '.join(str(layer) for layer in (0, *cls.interior_layers))
        raise VssError(f'interior layer {interior}: {card.builder} can be cut at {offered} (0: its own)')
    return cls(len(card.class_names), interior=interior)  # type: ignore[call-arg]


def build_module(card: ModelCard) -> nn.Module:
    """Return the module of a card with its weights loaded.

    Raises:
        VssError: Unknown builder, missing or damaged weights.
    """
    module: nn.Module
    if card.kind == 'backbone':
        module = new_backbone(card)
    elif card.kind == 'motion':
        module = MOTIONS.get(card.builder)()
    else:
        base = read_card(Path(card.path).with_name(f'{card.base}.yaml') if card.path else card.base)
        layer = card.name.rpartition(LAYER_MARK)[2]
        backbone = new_backbone(base, int(layer) if layer.isdecimal() else 0)
        if isinstance(backbone, FromFile):
            load_weights(base, backbone)  # only its file has its strides
        if card.kind == 'propagation':
            module = _new_propagation(card.builder, backbone)
        else:
            module = SCHEDULERS.get(card.builder)(backbone.low_channels)
        card.expect_base(base)
    load_weights(card, module)
    return module


def build_motion(name: str, device: torch.device | None = None) -> MotionEstimator:
    """Return a motion estimator with its weights, if it has any.

    Motion depends on no backbone: the card of an estimator has its registered name and serves all.

    Raises:
        VssError: Unknown name, missing or damaged weights.
    """
    estimator = MOTIONS.get(name)()
    if any(True for _ in estimator.parameters()):
        card = read_card(name)
        card.expect('motion')
        _load(estimator, card, device or torch.device('cpu'))
    return estimator


def part_card_name(card: ModelCard, member: str, backbone: Backbone | None = None) -> str:
    """Return the name or path of the card of a propagation or scheduler trained on a backbone card.

    ``member`` is the part's registered name. A ``backbone`` it was trained on may be cut at another than its
    own interior layer: the name is then ``MODEL.MEMBER@LAYER``.
    """
    trained = (member in SCHEDULERS and SCHEDULERS.get(member).weights_of) or member
    name = f'{card.path.removesuffix(".yaml") if card.path else card.name}.{trained}'
    if backbone is None or backbone.interior == type(backbone).interior:
        return name
    return f'{name}{LAYER_MARK}{backbone.interior}'


def _load(module: nn.Module, card: ModelCard, device: torch.device, runtime: Runtime | None = None) -> None:
    if device == META:
        with CPU:
            load_weights(card, module) if isinstance(module, FromFile) else read_weights(card)
        return
    load_weights(card, module, device, runtime)
    module.eval().requires_grad_(False)
    module.to(device)


def _load_part(
    module: nn.Module, base: ModelCard, backbone: Backbone, member: str, kind: str, device: torch.device
) -> ModelCard | None:
    """Load the weights of a part trained on ``base``; parts without weights need no card."""
    if not any(True for _ in module.parameters()):
        return None
    name = part_card_name(base, member, backbone)
    if not has_card(name):
        raise VssError(
            f'{kind} {member!r} has no weights for model {base.name!r}: expected the card {name}.yaml; '
            'train it with: vss train'
        )
    card = read_card(name)
    card.expect(kind)
    card.expect_base(base)
    _load(module, card, device)
    return card


def _new_propagation(name: str, backbone: Backbone) -> Propagation:
    cls = PROPAGATIONS.get(name)
    return cls(Shapes.of(backbone, cls.space))


def _scheduler(
    config: SegmenterConfig, card: ModelCard, backbone: Backbone, device: torch.device
) -> Scheduler:
    scheduler = SCHEDULERS.get(config.scheduler)(
        backbone.low_channels,
        threshold=config.threshold,
        min_interval=config.min_interval,
        max_interval=config.interval,
    )
    if config.propagation != NO_PROPAGATION:
        trained = _load_part(scheduler, card, backbone, config.scheduler, 'scheduler', device)
        if trained is not None and 'threshold' in trained.settings:
            scheduler.default_threshold = trained.settings['threshold']
            scheduler.adjust(threshold=config.threshold)
    return scheduler


def motion_name(wanted: str, propagation: Propagation | None, scheduler: Scheduler) -> str | None:
    """Return the name of the motion estimator to use, None where neither part looks at motion.

    The one that is ``wanted`` or, for ``auto``, the propagation's own.
    """
    if propagation is None or not (propagation.motion or scheduler.needs_motion):
        return None
    return wanted if wanted != 'auto' else propagation.motion or 'dis'


def _track(config: SegmenterConfig, network: WholeNetwork) -> Track:
    if config.track == 'blocking' or config.propagation == NO_PROPAGATION:
        return Blocking()
    compute, delay = network.compute, config.slow_delay
    return SimulatedFastSlow(compute, delay) if delay else FastSlow(compute, config.slow_duty)
