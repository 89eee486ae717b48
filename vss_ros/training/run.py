"""Run a recipe from data folders to a model card."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from shutil import copyfile
from typing import TYPE_CHECKING, Any

import torch

from vss_ros.engine.build import build_motion, new_backbone, part_card_name
from vss_ros.engine.device import choose_device, device_of
from vss_ros.engine.model_card import Kind, ModelCard, load_weights, read_card, save_card
from vss_ros.engine.motion import MOTIONS
from vss_ros.engine.preprocess import IMAGENET
from vss_ros.engine.propagation import PROPAGATIONS
from vss_ros.engine.propagation.base import Shapes
from vss_ros.engine.schedulers import SCHEDULERS
from vss_ros.errors import VssError
from vss_ros.evaluation.card_scores import (
    Scores,
    backbone_scores,
    motion_scores,
    propagation_scores,
    scheduler_scores,
)
from vss_ros.images.classes import load_classes
from vss_ros.training.backbone_stage import train_backbone
from vss_ros.training.cards import origins, provenance, rounded_scores, score_command
from vss_ros.training.computing import Computing
from vss_ros.training.data_sets import DataSets, open_data, triple_sources, typical_drive
from vss_ros.training.loop import trained_minutes
from vss_ros.training.motion_stage import Estimators, train_motion
from vss_ros.training.pair_stage import TYPICAL_INTERVAL, PairParts, recommended_threshold, train_pairs
from vss_ros.training.recipe import Recipe, read_recipe
from vss_ros.training.start import start_card
from vss_ros.training.teacher import Teacher, teacher_card

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import nn

    from vss_ros.datasets.labelled import LabelledImages
    from vss_ros.engine.backbones import Backbone


@dataclass(frozen=True, slots=True)
class Job:
    """One recipe with all it needs."""

    recipe: Recipe
    sets: DataSets
    folders: dict[str, Path]
    """Where each data set lies, by name."""
    folder: Path
    """Checkpoints and curves."""
    output: Path
    """Cards and weights."""
    resume: bool
    compiled: bool
    device: torch.device
    teacher: ModelCard | None
    start: ModelCard | None
    provenance: dict[str, Any]


def run_recipe(
    path: Path,
    folders: dict[str, Path],
    runs: Path,
    output: Path,
    *,
    resume: bool,
    compiled: bool = False,
    device: str = 'auto',
) -> list[ModelCard]:
    """Train what a recipe says and write cards with measured scores.

    Args:
        path: The recipe.
        folders: Where its data sets lie, by name.
        runs: Checkpoints and curves go to ``runs/<recipe's stem>``.
        output: Cards and weights go here.
        resume: Continue from the last checkpoint.
        compiled: Fuse the backbone's operations with ``torch.compile``; the other stages do not look at it.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        VssError: A bad recipe, missing data, no such device, or no card to build on.

    """
    where = choose_device(device)
    recipe = read_recipe(path)
    # Before data that may take minutes to open.
    teacher = teacher_card(recipe, load_classes(recipe.classes), output)
    start = start_card(recipe, output)
    sets = open_data(recipe, folders)
    folder = runs / path.stem
    folder.mkdir(parents=True, exist_ok=True)
    stages = {'backbone': _backbone, 'pairs': _pairs, 'motion': _motion}
    named = (name for name in folders if name in recipe.data or name in recipe.evaluate)
    options = ' '.join(f'--data {name}=DIR' for name in named)
    options += ' --compile' if compiled else ''
    options += f' --device {device}' if device != 'auto' else ''
    command = f'vss train config/experiments/{path.name} {options}'
    said = provenance(recipe, sets, where, command) | origins(teacher, start)
    job = Job(recipe, sets, folders, folder, output, resume, compiled, where, teacher, start, said)
    cards = stages[recipe.stage](job)
    said['wall_minutes'] = trained_minutes(folder)
    scored = next(iter(recipe.evaluate), '')
    return [
        save_card(card.model_copy(update={'recipe': said | score_command(card, scored)}), module, output)
        for card, module in cards
    ]


def _backbone(job: Job) -> list[tuple[ModelCard, nn.Module]]:
    recipe = job.recipe
    teacher = None
    if job.teacher is not None:
        taken_back = float(job.teacher.recipe.get('logit_adjustment', 0.0))
        teacher = Teacher.frozen(_trained_backbone(job.teacher, job.device), taken_back, job.device)
    computing = Computing.on(job.device)
    if computing.amp:
        job.provenance['precision'] = 'bfloat16 autocast'
    model = train_backbone(
        recipe,
        job.sets.classes,
        job.sets.trained,
        job.sets.watched,
        job.folder,
        resume=job.resume,
        teacher=teacher,
        start=job.start,
        compiled=job.compiled,
        computing=computing,
    )
    table = job.sets.classes
    card = ModelCard(
        name=recipe.model,
        kind='backbone',
        builder=recipe.backbone,
        sha256='',
        parameters=0,
        input_size=job.sets.size,
        mean=IMAGENET.mean,
        std=IMAGENET.std,
        classes=_table_of_card(job),
        class_names=tuple(table.names),
        scores=_scored(job, model, lambda video, prefix: backbone_scores(model, video, prefix, table.names)),
    )
    return [(card, model)]


def _table_of_card(job: Job) -> str:
    """Return what the card shall say of its classes; a table of one's own is copied beside it."""
    classes = job.recipe.classes
    if not classes.endswith(('.yaml', '.yml')):
        return classes
    job.output.mkdir(parents=True, exist_ok=True)
    return str(copyfile(classes, job.output / f'{job.recipe.model}.classes.yml'))


def _trained_backbone(card: ModelCard, device: torch.device, interior: int = 0) -> Backbone:
    """Return a backbone with its weights; one without, a network from a file, stays on the CPU."""
    backbone = new_backbone(card, interior)
    load_weights(card, backbone)
    return backbone.to(device)


def _pairs(job: Job) -> list[tuple[ModelCard, nn.Module]]:
    recipe = job.recipe
    base = _base_card(job)
    backbone = _trained_backbone(base, job.device, recipe.interior)
    torch.manual_seed(recipe.seed)
    propagations = {}
    for name in recipe.propagations:
        cls = PROPAGATIONS.get(name)
        propagations[name] = cls(Shapes.of(backbone, cls.space))
    scheduler = SCHEDULERS.get(recipe.scheduler)(backbone.low_channels) if recipe.scheduler else None
    moving = any(moves.motion for moves in propagations.values())
    device = device_of(backbone)
    motion = build_motion(recipe.motion, device) if moving else None
    backbone.eval()
    sources = triple_sources(
        recipe, job.sets.trained, job.folders, backbone, base.input_size, job.sets.watched
    )
    parts = PairParts(propagations, scheduler).to(device)
    parts = train_pairs(
        recipe, backbone, parts, sources, job.sets.watched, job.folder, resume=job.resume, motion=motion
    )
    cards: list[tuple[ModelCard, nn.Module]] = []
    for name, moves in parts.named_propagations():
        scores = _scored(job, moves, partial(propagation_scores, backbone, moves, motion=motion))
        cards.append((_part_card(base, backbone, 'propagation', name, scores), moves))
    if parts.scheduler is not None:
        scores = _scored(job, parts.scheduler, partial(scheduler_scores, backbone, parts.scheduler))
        drive = typical_drive(sources, TYPICAL_INTERVAL)
        threshold = recommended_threshold(backbone, parts.scheduler, drive, recipe)
        settings = {'threshold': round(threshold, 4)}
        card = _part_card(base, backbone, 'scheduler', recipe.scheduler, scores, settings)
        cards.append((card, parts.scheduler))
    return cards


def _motion(job: Job) -> list[tuple[ModelCard, nn.Module]]:
    recipe = job.recipe
    base = _base_card(job)
    backbone = _trained_backbone(base, job.device)
    backbone.eval().requires_grad_(False)
    torch.manual_seed(recipe.seed)
    estimators = Estimators({name: MOTIONS.get(name)() for name in recipe.motions})
    estimators.to(device_of(backbone))
    watched = job.sets.watched

    def scores(average: Estimators) -> dict[str, Scores]:
        """Return coarse PDA curves of plain warping along each estimator's motion."""
        if watched is None:
            return {}
        return {
            name: motion_scores(
                backbone, estimator, watched, job.sets.watched_name, distances=(1, 3, 5), stride=4
            )
            for name, estimator in average.named()
        }

    estimators = train_motion(
        recipe,
        estimators,
        triple_sources(
            recipe, job.sets.trained, job.folders, backbone, base.input_size, watched, with_flow=True
        ),
        lambda average: {'pda': scores(average)},
        job.folder,
        resume=job.resume,
    )
    cards: list[tuple[ModelCard, nn.Module]] = []
    for name, estimator in estimators.named():
        measured = _scored(job, estimator, partial(motion_scores, backbone, estimator))
        card = ModelCard(name=name, kind='motion', builder=name, sha256='', parameters=0, scores=measured)
        cards.append((card, estimator))
    return cards


def _scored(job: Job, module: nn.Module, score: Callable[[LabelledImages, str], Scores]) -> Scores:
    """Round a module's weights where that costs nothing; returns its scores on what the recipe watches."""
    watched = job.sets.watched
    if watched is None:
        return rounded_scores(module, None)
    return rounded_scores(module, lambda: score(watched, job.sets.watched_name))


def _base_card(job: Job) -> ModelCard:
    """Return the backbone's card, whose classes have to be the recipe's."""
    card = read_card(job.output / f'{job.recipe.model}.yaml')
    table = job.sets.classes
    if card.class_names != table.names:
        msg = (
            f'expected a backbone trained for {table.name} ({len(table)} classes), got card {card.name} for '
            f'{card.classes} ({len(card.class_names)}); name that as classes, or another model'
        )
        raise VssError(msg)
    return card


def _part_card(
    base: ModelCard,
    backbone: Backbone,
    kind: Kind,
    member: str,
    scores: dict[str, Any],
    settings: dict[str, float] | None = None,
) -> ModelCard:
    return ModelCard(
        name=part_card_name(base.model_copy(update={'path': ''}), member, backbone),
        kind=kind,
        builder=member,
        sha256='',
        parameters=0,
        base=base.name,
        base_sha256=base.sha256,
        settings=settings or {},
        scores=scores,
    )
