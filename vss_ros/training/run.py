"""Run a recipe from data folders to a model card."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

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
from vss_ros.files import write_whole
from vss_ros.images.classes import load_classes
from vss_ros.training import processes
from vss_ros.training.backbone_stage import train_backbone
from vss_ros.training.cards import origins, provenance, rounded_scores, score_command
from vss_ros.training.computing import Computing
from vss_ros.training.data_sets import DataSets, open_data, triple_sources, typical_drive
from vss_ros.training.loop import trained_minutes
from vss_ros.training.pair_stages import (
    TYPICAL_INTERVAL,
    PairParts,
    recommended_threshold,
    train_motion,
    train_pairs,
)
from vss_ros.training.quantise import load_nncf, quantise
from vss_ros.training.recipe import Recipe, read_recipe
from vss_ros.training.teacher import Teacher, start_card, teacher_card

if TYPE_CHECKING:
    from collections.abc import Callable

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
    _check_shares(path, recipe.batch)
    if recipe.int8:
        load_nncf()  # before hours of training
    # Before data that may take minutes to open.
    teacher = teacher_card(recipe, load_classes(recipe.classes), output)
    start = start_card(recipe, output)
    sets = open_data(recipe, folders)
    folder = runs / path.stem
    folder.mkdir(parents=True, exist_ok=True)
    more = [*(['--compile'] if compiled else []), *([f'--device {device}'] if device != 'auto' else [])]
    command = _command(path, recipe, folders, more)
    said = provenance(recipe, sets, where, command) | origins(teacher, start)
    job = Job(recipe, sets, folders, folder, output, resume, compiled, where, teacher, start, said)
    cards = {'backbone': _backbone, 'pairs': _pairs, 'motion': _motion}[recipe.stage](job)
    if processes.number() > 0:
        processes.wait_for_all()
        return [read_card(output / f'{card.name}.yaml') for card, _ in cards]
    said['wall_minutes'] = trained_minutes(folder)
    scored = next(iter(recipe.evaluate), '')
    saved = [
        save_card(card.model_copy(update={'recipe': said | score_command(card, scored)}), module, output)
        for card, module in cards
    ]
    done = [_with_int8(job, card, module) for card, (_, module) in zip(saved, cards, strict=True)]
    processes.wait_for_all()  # a later recipe may build on these cards
    return done


def _command(path: Path, recipe: Recipe, folders: dict[str, Path], more: list[str]) -> str:
    """Return the command that trains this again."""
    named = (name for name in folders if name in recipe.data or name in recipe.evaluate)
    data = [f'--data {name}=DIR' for name in named]
    return ' '.join([f'vss train config/experiments/{path.name}', *data, *more])


def _check_shares(path: Path, batch: int) -> None:
    if batch % processes.count():
        raise VssError(
            f'{path}: expected a batch that {processes.count()} processes share evenly, got {batch}; '
            'start another number of processes, or change the recipe'
        )


def _with_int8(job: Job, card: ModelCard, module: Any) -> ModelCard:
    if not job.recipe.int8:
        return card
    placed = card.model_copy(update={'path': str(job.output / f'{card.name}.yaml')})
    name, images = next(iter(job.sets.trained.items()))
    made = {'command': job.provenance['command'], 'data': {name: job.provenance['data'][name]}}
    watched, prefix = job.sets.watched, job.sets.watched_name
    return quantise(placed, module, images.images, job.recipe.int8, made, watched, prefix)


def _backbone(job: Job) -> list[tuple[ModelCard, nn.Module]]:
    recipe, table = job.recipe, job.sets.classes
    teacher = None
    if job.teacher is not None:
        taken_back = float(job.teacher.recipe.get('logit_adjustment', 0.0))
        teacher = Teacher.frozen(_trained_backbone(job.teacher, job.device), taken_back, job.device)
    computing = Computing.on(job.device)
    if computing.amp:
        job.provenance['precision'] = 'bfloat16 autocast'
    model = train_backbone(
        recipe,
        table,
        job.sets.trained,
        job.sets.watched,
        job.folder,
        resume=job.resume,
        teacher=teacher,
        start=job.start,
        compiled=job.compiled,
        computing=computing,
    )
    card = _card(
        'backbone',
        recipe.backbone,
        recipe.model,
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
    copy = job.output / f'{job.recipe.model}.classes.yml'
    write_whole(copy, Path(classes).read_bytes())
    return str(copy)


def _trained_backbone(card: ModelCard, device: torch.device, interior: int = 0) -> Backbone:
    """Return a backbone with its weights; one without, a network from a file, stays on the CPU."""
    backbone = new_backbone(card, interior)
    load_weights(card, backbone)
    return backbone.to(device)


def _pairs(job: Job) -> list[tuple[ModelCard, nn.Module]]:
    recipe, watched = job.recipe, job.sets.watched
    base, backbone = _built_on(job)
    classes = {name: PROPAGATIONS.get(name) for name in recipe.propagations}
    propagations = {name: cls(Shapes.of(backbone, cls.space)) for name, cls in classes.items()}
    scheduler = SCHEDULERS.get(recipe.scheduler)(backbone.low_channels) if recipe.scheduler else None
    moving = any(moves.motion for moves in propagations.values())
    motion = build_motion(recipe.motion, device_of(backbone)) if moving else None
    sources = triple_sources(recipe, job.sets.trained, job.folders, backbone, base.input_size, watched)
    parts = PairParts(propagations, scheduler).to(device_of(backbone))
    parts = train_pairs(
        recipe, backbone, parts, sources, watched, job.folder, resume=job.resume, motion=motion
    )

    def card(kind: Kind, builder: str, **more: Any) -> ModelCard:
        name = part_card_name(base.model_copy(update={'path': ''}), builder, backbone)
        return _card(kind, builder, name, base=base.name, base_sha256=base.sha256, **more)

    cards: list[tuple[ModelCard, nn.Module]] = []
    for name, moves in parts.named_propagations():
        scores = _scored(job, moves, partial(propagation_scores, backbone, moves, motion=motion))
        cards.append((card('propagation', name, scores=scores), moves))
    if parts.scheduler is not None:
        scores = _scored(job, parts.scheduler, partial(scheduler_scores, backbone, parts.scheduler))
        drive = typical_drive(sources, TYPICAL_INTERVAL)
        settings = {'threshold': round(recommended_threshold(backbone, parts.scheduler, drive, recipe), 4)}
        cards.append((card('scheduler', recipe.scheduler, scores=scores, settings=settings), parts.scheduler))
    return cards


def _motion(job: Job) -> list[tuple[ModelCard, nn.Module]]:
    recipe, watched = job.recipe, job.sets.watched
    base, backbone = _built_on(job)
    estimators = nn.ModuleDict({name: MOTIONS.get(name)() for name in recipe.motions})
    estimators.to(device_of(backbone))

    def watch(average: nn.ModuleDict) -> dict[str, Any]:
        """Return coarse PDA curves of plain warping along each estimator's motion."""
        if watched is None:
            return {'pda': {}}
        named: dict[str, Any] = dict(average.items())
        coarse = partial(motion_scores, video=watched, distances=(1, 3, 5), stride=4)
        prefix = job.sets.watched_name
        return {'pda': {name: coarse(backbone, it, prefix=prefix) for name, it in named.items()}}

    sources = triple_sources(
        recipe, job.sets.trained, job.folders, backbone, base.input_size, watched, with_flow=True
    )
    estimators = train_motion(recipe, estimators, sources, watch, job.folder, resume=job.resume)
    cards: list[tuple[ModelCard, nn.Module]] = []
    estimator: Any
    for name, estimator in estimators.items():
        measured = _scored(job, estimator, partial(motion_scores, backbone, estimator))
        cards.append((_card('motion', name, name, scores=measured), estimator))
    return cards


def _card(kind: Kind, builder: str, name: str, **more: Any) -> ModelCard:
    return ModelCard(name=name, kind=kind, builder=builder, sha256='', parameters=0, **more)


def _scored(job: Job, module: nn.Module, score: Callable[[LabelledImages, str], Scores]) -> Scores:
    """Round a module's weights where that costs nothing; returns its scores on what the recipe watches."""
    watched = job.sets.watched
    if watched is None or processes.number() > 0:
        return rounded_scores(module, None)
    return rounded_scores(module, lambda: score(watched, job.sets.watched_name))


def _built_on(job: Job) -> tuple[ModelCard, Backbone]:
    """Return card and network of the backbone that parts are trained for; the parts are built by the seed."""
    card, table = read_card(job.output / f'{job.recipe.model}.yaml'), job.sets.classes
    if card.class_names != table.names:
        raise VssError(
            f'expected a backbone trained for {table.name} ({len(table)} classes), got card {card.name} for '
            f'{card.classes} ({len(card.class_names)}); name that as classes, or another model'
        )
    backbone = _trained_backbone(card, job.device, job.recipe.interior)
    torch.manual_seed(job.recipe.seed)
    return card, backbone.eval().requires_grad_(False)
