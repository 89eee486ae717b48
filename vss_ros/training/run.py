"""Run a recipe from data folders to a model card."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch

from vss_ros.data.camvid import LabelledImages, load_labelled_folder
from vss_ros.data.classes import load_classes
from vss_ros.data.pairs import DrivePairs, StillPairs
from vss_ros.engine.backbones import BACKBONES, Backbone
from vss_ros.engine.build import build_motion
from vss_ros.engine.model_card import ModelCard, load_weights, read_card, save_card
from vss_ros.engine.motion import MOTIONS
from vss_ros.engine.preprocess import IMAGENET
from vss_ros.engine.propagation import PROPAGATIONS
from vss_ros.engine.propagation.base import Shapes
from vss_ros.engine.propagation.flow_warp import FlowWarp
from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation
from vss_ros.errors import VssError
from vss_ros.evaluation.propagation import deviation_rank_correlation, propagation_distance_accuracy
from vss_ros.training.backbone_stage import per_frame_confusion, train_backbone
from vss_ros.training.checkpoint import trained_minutes
from vss_ros.training.motion_stage import Estimators, train_motion
from vss_ros.training.pair_stage import PairParts, recommended_threshold, train_pairs
from vss_ros.training.recipe import Recipe, read_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from vss_ros.training.triples import Drawable

INPUT_SIZE = (360, 480)
"""Height and width the shipped models are trained for, pixels."""
PDA_DISTANCES = (0, 1, 2, 3, 5, 7, 9)


@dataclass(frozen=True, slots=True)
class Job:
    """One recipe with all it needs."""

    recipe: Recipe
    data: dict[str, LabelledImages]
    watched: LabelledImages | None
    folder: Path
    """Checkpoints and curves."""
    output: Path
    """Cards and weights."""
    resume: bool
    provenance: dict[str, Any]


def run_recipe(
    path: Path, folders: dict[str, Path], runs: Path, output: Path, *, resume: bool
) -> list[ModelCard]:
    """Train what a recipe says and write cards with measured scores.

    Args:
        path: The recipe.
        folders: Where its data sets lie, by name.
        runs: Checkpoints and curves go to ``runs/<recipe's stem>``.
        output: Cards and weights go here.
        resume: Continue from the last checkpoint.

    Raises:
        VssError: A bad recipe, missing data, or no card to build on.

    """
    recipe = read_recipe(path)
    missing = [name for name in (*recipe.data, *recipe.evaluate) if name not in folders]
    if missing:
        msg = f'{path}: expected --data NAME=DIR for {", ".join(sorted(set(missing)))}'
        raise VssError(msg)
    data = {
        name: load_labelled_folder(folders[name], options.get('split'))
        for name, options in recipe.data.items()
    }
    watched = next((load_labelled_folder(folders[n], split) for n, split in recipe.evaluate.items()), None)
    folder = runs / path.stem
    folder.mkdir(parents=True, exist_ok=True)
    stages = {'backbone': _backbone, 'pairs': _pairs, 'motion': _motion}
    if recipe.stage not in stages:
        msg = f'{path}: stage is {recipe.stage!r}, expected one of: {", ".join(stages)}'
        raise VssError(msg)
    names = ' '.join(f'--data {name}=DIR' for name in folders)
    provenance = {
        'command': f'vss train config/experiments/{path.name} {names}',
        'seed': recipe.seed,
        'epochs': recipe.epochs,
        'crop': list(recipe.crop),
        'data': recipe.data,
        'images': {name: len(images) for name, images in data.items()},
        'commit': _commit(),
        'hardware': f'{platform.machine()} CPU, {torch.get_num_threads()} threads',
        'versions': {name: version(name) for name in ('torch', 'numpy')},
    }
    job = Job(recipe, data, watched, folder, output, resume, provenance)
    cards = stages[recipe.stage](job)
    provenance['wall_minutes'] = trained_minutes(folder)
    return [save_card(replace(card, recipe=provenance), module, output) for card, module in cards]


def _backbone(job: Job) -> list[tuple[ModelCard, nn.Module]]:
    recipe = job.recipe
    teacher = _trained_backbone(read_card(recipe.teacher)) if recipe.teacher else None
    model = train_backbone(recipe, job.data, job.watched, job.folder, resume=job.resume, teacher=teacher)
    table = load_classes(recipe.classes)
    scores: dict[str, Any] = {}
    if job.watched is not None:
        matrix = per_frame_confusion(model, job.watched)
        ious = zip(table.names, matrix.per_class_iou, strict=True)
        scores = {
            'camvid_val_miou': round(matrix.miou, 4),
            'per_class_iou': {name: round(float(value), 4) for name, value in ious},
        }
    card = ModelCard(
        name=recipe.model,
        kind='backbone',
        builder=recipe.backbone,
        sha256='',
        parameters=0,
        input_size=INPUT_SIZE,
        mean=IMAGENET.mean,
        std=IMAGENET.std,
        classes=recipe.classes,
        class_names=tuple(table.names),
        scores=scores,
    )
    return [(card, model)]


def _trained_backbone(card: ModelCard) -> Backbone:
    backbone = BACKBONES.get(card.builder)(len(card.class_names))
    load_weights(card, backbone)
    return backbone


def _pairs(job: Job) -> list[tuple[ModelCard, nn.Module]]:
    recipe = job.recipe
    base = read_card(job.output / f'{recipe.model}.yaml')
    backbone = _trained_backbone(base)
    torch.manual_seed(recipe.seed)
    propagations = {}
    for name in recipe.propagations:
        cls = PROPAGATIONS.get(name)
        propagations[name] = cls(Shapes.of(backbone, cls.space))
    scheduler = PredictedDeviation(backbone.low_channels) if recipe.scheduler else None
    moving = any(moves.motion for moves in propagations.values())
    motion = build_motion(recipe.motion) if moving else None
    sources = _sources(job)
    parts = PairParts(propagations, scheduler)
    parts = train_pairs(
        recipe, backbone, parts, sources, job.watched, job.folder, resume=job.resume, motion=motion
    )
    cards: list[tuple[ModelCard, nn.Module]] = []
    for name, moves in parts.named_propagations():
        scores: dict[str, Any] = {}
        if job.watched is not None:
            curve = propagation_distance_accuracy(backbone, moves, job.watched, PDA_DISTANCES, motion=motion)
            scores = {'camvid_val_pda': _rounded(curve)}
        cards.append((_part_card(base, 'propagation', name, scores), moves))
    if parts.scheduler is not None:
        scores = {}
        if job.watched is not None:
            correlation = deviation_rank_correlation(backbone, parts.scheduler, job.watched, range(1, 11))
            scores = {'camvid_val_rank_correlation': round(correlation, 4)}
        threshold = recommended_threshold(backbone, parts.scheduler, next(iter(sources.values())), recipe)
        settings = {'threshold': round(threshold, 4)}
        cards.append((_part_card(base, 'scheduler', recipe.scheduler, scores, settings), parts.scheduler))
    return cards


def _motion(job: Job) -> list[tuple[ModelCard, nn.Module]]:
    recipe = job.recipe
    backbone = _trained_backbone(read_card(job.output / f'{recipe.model}.yaml'))
    backbone.eval().requires_grad_(False)
    moves = FlowWarp(Shapes.of(backbone, FlowWarp.space))
    torch.manual_seed(recipe.seed)
    estimators = Estimators({name: MOTIONS.get(name)() for name in recipe.motions})

    def scores(average: Estimators, distances: tuple[int, ...], stride: int) -> dict[str, dict[int, float]]:
        """Score by what motion is for: the PDA curve of plain warping along it."""
        return {
            name: propagation_distance_accuracy(
                backbone, moves, job.watched, distances, stride=stride, motion=estimator
            )
            for name, estimator in average.named()
            if job.watched is not None
        }

    estimators = train_motion(
        recipe,
        estimators,
        _sources(job),
        lambda average: {'pda': scores(average, (1, 3, 5), 4)},
        job.folder,
        resume=job.resume,
    )
    measured = scores(estimators, PDA_DISTANCES, 1)
    return [(_motion_card(name, measured.get(name)), estimator) for name, estimator in estimators.named()]


def _motion_card(name: str, curve: dict[int, float] | None) -> ModelCard:
    scores = {} if curve is None else {'camvid_val_pda_flow_warp': _rounded(curve)}
    return ModelCard(name=name, kind='motion', builder=name, sha256='', parameters=0, scores=scores)


def _rounded(curve: dict[int, float]) -> dict[int, float]:
    return {distance: round(miou, 4) for distance, miou in curve.items()}


def _sources(job: Job) -> dict[str, Drawable]:
    """Return where triples come from: stills (main), or consecutive frames where a share is stated."""
    return {
        name: DrivePairs(images) if 'share' in job.recipe.data[name] else StillPairs(images)
        for name, images in job.data.items()
    }


def _part_card(
    base: ModelCard,
    kind: str,
    member: str,
    scores: dict[str, Any],
    settings: dict[str, float] | None = None,
) -> ModelCard:
    return ModelCard(
        name=f'{base.name}.{member}',
        kind=kind,
        builder=member,
        sha256='',
        parameters=0,
        base=base.name,
        base_sha256=base.sha256,
        settings=settings or {},
        scores=scores,
    )


def _commit() -> str:
    try:
        done = subprocess.run(
            ['git', 'rev-parse', '--short', 'HEAD'], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'
    return done.stdout.strip()
