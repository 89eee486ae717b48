"""The scores that model cards state: how each kind of part is scored, and whether a card still tells true."""

from __future__ import annotations

import re
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.functional import interpolate
from tqdm import tqdm

from vss_ros.datasets.folders import has_folders
from vss_ros.datasets.labelled import LabelledVideo
from vss_ros.datasets.layouts import load_data
from vss_ros.datasets.listing import DataOptions
from vss_ros.datasets.pairs import StillPairs
from vss_ros.engine.build import build_module, build_motion, build_segmenter, new_backbone, part_card_name
from vss_ros.engine.confidence import Confidence
from vss_ros.engine.device import CPU, device_of
from vss_ros.engine.labels import argmax_upsampled
from vss_ros.engine.model_card import has_card, load_weights, read_card
from vss_ros.engine.options import SegmenterConfig
from vss_ros.engine.preprocess import IMAGENET, fitted, normalise
from vss_ros.engine.propagation.base import Shapes
from vss_ros.engine.propagation.flow_warp import FlowWarp
from vss_ros.engine.runtimes.openvino import OpenVinoRuntime, read_quantised
from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.calibration import KINDS, LATE, CalibrationError
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix
from vss_ros.evaluation.replay.propagation import (
    deviation_rank_correlation,
    each_distance,
    propagation_distance_accuracy,
)
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from vss_ros.datasets.labelled import Clip, LabelledImages
    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.model_card import ModelCard
    from vss_ros.engine.motion import MotionEstimator
    from vss_ros.engine.pipeline import Parts
    from vss_ros.engine.propagation import Propagation
    from vss_ros.engine.runtimes.base import Graph
    from vss_ros.engine.runtimes.openvino import QuantisedBackbone
    from vss_ros.engine.schedulers import Scheduler
    from vss_ros.evaluation.replay.propagation import Count
    from vss_ros.images.classes import ClassTable

DISTANCES = (0, 1, 2, 3, 5, 7, 9)
"""Frames, of the PDA curves on cards."""
MEASURED = (0, 1, 2, 3, LATE, 6, 9, 12)
"""Frames, of the calibration errors on cards."""
TOLERANCE = 0.001
"""How far a score measured again may be off: another machine's rounding, in shares of one."""
DEFAULT_BACKBONE = 'efficientnet_lite0_fpn'
"""On which motion estimators, which belong to no backbone, are scored."""

Scores = dict[str, Any]


def per_frame_confusion(
    model: Backbone, images: LabelledImages, size: tuple[int, int] | None = None
) -> ConfusionMatrix:
    """Return the confusion matrix of the whole network on every image, labels at full resolution.

    Args:
        model: Trained.
        images: With labels.
        size: Height and width at which the network sees them; None for their own, as near as it takes them.
    """
    matrix = ConfusionMatrix(model.classes, model.classes)
    for labels, answer in answers(model, images, size):
        matrix.add(labels, answer)
    return matrix


@torch.inference_mode()
def answers(
    model: Backbone, images: LabelledImages, size: tuple[int, int] | None = None
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Yield the true ids of every image, and the whole network's; arguments as ``per_frame_confusion``."""
    model.eval()
    for image, labels in zip(images.images, images.labels, strict=True):
        pixels = torch.from_numpy(fitted(image, model.size_step, size or model.fixed_size))
        logits = model(normalise(pixels.unsqueeze(0).to(device_of(model)), IMAGENET))
        yield labels, _full_size(logits, labels)


def _full_size(logits: Tensor, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    logits = interpolate(logits, size=labels.shape, mode='bilinear', align_corners=False)
    return logits[0].argmax(0).to(torch.uint8).cpu().numpy()


@torch.inference_mode()
def int8_scores(model: Backbone, quantised: QuantisedBackbone, images: LabelledImages, prefix: str) -> Scores:
    """Return mIoU of a network at int8 and in PyTorch at f32, and the share of equal labels."""
    runtime = OpenVinoRuntime(CPU, 'int8', torch.get_num_threads())
    runtime.quantised = quantised
    model.eval()
    matrices = [ConfusionMatrix(model.classes, model.classes) for _ in range(2)]
    graphs: dict[Any, Graph] = {}
    same: list[float] = []
    for image, labels in zip(images.images, images.labels, strict=True):
        pixels = torch.from_numpy(fitted(image, model.size_step)).unsqueeze(0)
        if pixels.shape not in graphs:
            graphs[pixels.shape] = runtime.compile(model, [pixels], ('pixels', 'logits'))()
        logits = model(normalise(pixels.to(device_of(model)), IMAGENET)), *graphs[pixels.shape]([pixels])
        masks = [_full_size(answer, labels) for answer in logits]
        for matrix, mask in zip(matrices, masks, strict=True):
            matrix.add(labels, mask)
        same.append(float((masks[0] == masks[1]).mean()))
    return {
        f'{prefix}_miou': round(matrices[1].miou, 4),
        f'{prefix}_miou_f32': round(matrices[0].miou, 4),
        'same_labels': round(sum(same) / len(same), 4),
    }


def backbone_scores(
    model: Backbone, video: LabelledImages, prefix: str, class_names: Sequence[str]
) -> Scores:
    """Return mIoU and per-class IoU of the whole network on every image; prefix is like ``camvid_val``."""
    matrix = per_frame_confusion(model, video)
    ious = zip(class_names, matrix.per_class_iou, strict=True)
    return {
        f'{prefix}_miou': round(matrix.miou, 4),
        'per_class_iou': {name: round(float(value), 4) for name, value in ious},
    }


def propagation_scores(
    backbone: Backbone, moves: Propagation, video: LabelledImages, prefix: str, motion: MotionEstimator | None
) -> Scores:
    """Return the PDA curve at ``DISTANCES``; arguments as for ``propagation_distance_accuracy``."""
    curve = propagation_distance_accuracy(backbone, moves, video, DISTANCES, motion=motion)
    return {f'{prefix}_pda': _rounded(curve)}


def scheduler_scores(backbone: Backbone, scheduler: Scheduler, video: LabelledImages, prefix: str) -> Scores:
    """Return the rank correlation of a scheduler's score and the true deviation at distances 1 to 10."""
    correlation = deviation_rank_correlation(backbone, scheduler, video, range(1, 11))
    return {f'{prefix}_rank_correlation': round(correlation, 4)}


def motion_scores(
    backbone: Backbone,
    estimator: MotionEstimator,
    video: LabelledImages,
    prefix: str,
    *,
    distances: tuple[int, ...] = DISTANCES,
    stride: int = 1,
) -> Scores:
    """Score by what motion is for: the PDA curve of plain warping along it."""
    moves = FlowWarp(Shapes.of(backbone, FlowWarp.space))
    curve = propagation_distance_accuracy(backbone, moves, video, distances, stride=stride, motion=estimator)
    return {f'{prefix}_pda_flow_warp': _rounded(curve)}


def measure(card: ModelCard, video: LabelledImages, prefix: str) -> Scores:
    """Load a card's weights and score them.

    Raises:
        VssError: Missing or damaged weights, of the card or of the backbone it belongs to.
    """
    module: Any = build_module(card).eval().requires_grad_(False)
    if card.kind == 'backbone':
        return backbone_scores(module, video, prefix, card.class_names)
    backbone = _backbone_of(card)
    if card.kind == 'scheduler':
        return scheduler_scores(backbone, module, video, prefix)
    if card.kind == 'motion':
        return motion_scores(backbone, module, video, prefix)
    motion = build_motion(module.motion) if module.motion else None
    return propagation_scores(backbone, module, video, prefix, motion)


def measure_int8(card: ModelCard, video: LabelledImages, prefix: str) -> Scores:
    """Score a card's int8 weights, nothing where it has none; errors as those of ``measure``."""
    model: Any = build_module(card) if card.int8 else None
    return int8_scores(model, read_quantised(card), video, prefix) if card.int8 else {}


def parts_of(card: ModelCard, propagations: Iterable[str]) -> Iterator[tuple[str, Parts]]:
    """Yield the parts of a backbone card with each of these propagations that it has weights for."""
    for name in propagations:
        if name == 'flow_warp' or has_card(part_card_name(card, name)):
            config = SegmenterConfig(model=card.path, propagation=name, slow_delay=1, runtime='torch')
            yield name, build_segmenter(config).segmenter.parts


def clips_of(images: LabelledImages, table: ClassTable, frames: int, count: int) -> Iterator[Clip]:
    """Yield clips with so many frames up to a labelled one: real ones, or else ``count`` stills in motion."""
    if isinstance(images, LabelledVideo) and max(images.earlier) >= frames - 1 and _is_film(images):
        yield from images.clips()
        return
    rng, pairs = np.random.default_rng(0), StillPairs(images, table)
    places = np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)
    for place in tqdm(places.tolist(), 'stills set in motion', mininterval=5):
        yield pairs.roll_out(place, frames, rng)


def _is_film(video: LabelledVideo) -> bool:
    """Tell frames of a camera from stills that are numbered: where all are labelled, by even numbers."""
    numbers = [int(''.join(filter(str.isdigit, name.rpartition('_')[2])) or 0) for name in video.names]
    steps = np.diff(numbers)
    return len(video.frames) > len(video) or len({*steps[steps > 0].tolist()}) == 1


def measure_calibration(card: ModelCard, folder: Path, split: str, prefix: str) -> dict[str, Scores]:
    """Return the expected calibration errors of a card's answers, of each propagation it is calibrated for.

    Counted is each labelled frame with enough frames before it, at ``MEASURED`` frames from its key frame.
    """
    names, found = card.class_names, {}
    video = scored_on(card, folder, split, moving=True) if card.calibration else None
    for propagation, parts in parts_of(card, card.calibration):
        metric = CalibrationError(len(names), len(names))
        count = _sure(metric, Confidence(card.calibration[propagation], names))
        assert video is not None
        assert parts.propagation is not None
        clips = clips_of(video, load_classes(card.classes), max(MEASURED) + 1, len(video))
        each_distance(parts.backbone, parts.propagation, clips, MEASURED, count, motion=parts.motion)
        errors = {name: round(metric.error((kind,)), 4) for kind, name in enumerate(KINDS)}
        found[propagation] = {f'{prefix}_ece': errors}
    return found


def _sure(metric: CalibrationError, confidence: Confidence) -> Count:
    def count(age: int, truth: NDArray[np.uint8], logits: Tensor, size: tuple[int, int]) -> None:
        metric.add(age, truth, argmax_upsampled(logits, size), confidence.of(logits, size, age))

    return count


def prefix_of(card: ModelCard, data_set: str) -> str | None:
    """Return the data set and split that a card states scores on, None where it states none on this set."""
    pattern = rf'({re.escape(data_set)}(?:_.*)?)_(miou|pda|pda_flow_warp|rank_correlation)'
    found = (re.fullmatch(pattern, key) for key in card.scores)
    return next((match[1] for match in found if match), None)


def scored_on(card: ModelCard, folder: Path, split: str, *, moving: bool | None = None) -> LabelledImages:
    """Open the data set that a card states its scores on, with the frames before labelled ones if ``moving``.

    By default these come for every card but a backbone's.

    Raises:
        VssError: It is not laid out in a known way.
    """
    of_classes = card if card.classes else base_of(card)
    moving = card.kind != 'backbone' if moving is None else moving
    layout = 'drives' if moving and has_folders(folder, split) else ''
    # At the size that it was trained for, as the recipe's own score is taken.
    trained: dict[str, Any] = next(iter(card.recipe.get('data', {}).values()), {})
    options = DataOptions(layout=layout, split=split, size=trained.get('size'))
    return load_data(folder, options, load_classes(of_classes.classes), moving=moving, scale_labels=False)


def differences(stated: Mapping[str, Any], measured: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for every score that is missing or further off than ``TOLERANCE``."""
    for name, value in measured.items():
        there = stated.get(name)
        if isinstance(value, dict):
            inner, found = ({str(key): entry for key, entry in each.items()} for each in (there or {}, value))
            yield from (f'{name} {fault}' for fault in differences(inner, found))
        elif there is None:
            yield f'{name}: the card states nothing, measured is {value}'
        elif isnan(there) and isnan(value):  # a class that is not there
            continue
        elif not round(abs(there - value), 6) <= TOLERANCE:
            yield f'{name}: the card states {there}, measured is {value}'


def _rounded(curve: Mapping[int, float]) -> dict[int, float]:
    return {distance: round(miou, 4) for distance, miou in curve.items()}


def base_of(card: ModelCard) -> ModelCard:
    """Return the card of the backbone that a part belongs to, or is scored on."""
    name = card.base or DEFAULT_BACKBONE
    return read_card(str(Path(card.path).with_name(f'{name}.yaml')) if card.path else name)


def _backbone_of(card: ModelCard) -> Backbone:
    base = base_of(card)
    layer = card.name.rpartition('@')[2]
    backbone = new_backbone(base, int(layer) if layer.isdecimal() else 0)
    load_weights(base, backbone)
    if not backbone.has_features:
        raise VssError(
            f"{card.name} belongs to a user's own network, whose parts are scored by: vss evaluate"
        )
    return backbone.eval().requires_grad_(False)
