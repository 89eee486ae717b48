"""Parts of a backbone that is cut at another of its interior layers are trained, named, run and scored so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
import yaml
from data_trees import blocks_of, picture, write_png
from safetensors.torch import load_file

from vss_ros.engine.backbones import BACKBONES
from vss_ros.engine.build import build_segmenter
from vss_ros.engine.frames import Frame
from vss_ros.engine.model_card import ModelCard, read_card, save_card
from vss_ros.engine.options import SegmenterConfig
from vss_ros.engine.preprocess import IMAGENET
from vss_ros.errors import VssError
from vss_ros.evaluation.card_scores import differences, measure, scored_on
from vss_ros.images.classes import load_classes
from vss_ros.training.run import run_recipe

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (64, 96)
pytestmark = pytest.mark.usefixtures('one_thread')


def train(folder: Path, network: str, interior: int) -> list[ModelCard]:
    """Train tamed warping for one step on two stills and score it on a drive of eleven frames."""
    rng = np.random.default_rng(0)
    for split, count in (('train', 2), ('val', 11)):
        for i in range(count):
            labels = blocks_of(rng.permutation(11).astype(np.uint8))
            write_png(folder / f'camvid/{split}/drive_{i:06d}.png', picture(i, SIZE))
            write_png(folder / f'camvid/{split}annot/drive_{i:06d}.png', labels)
    names = tuple(load_classes('camvid11').names)
    card = ModelCard(
        name='net', kind='backbone', builder=network, sha256='', parameters=0,
        input_size=SIZE, mean=IMAGENET.mean, std=IMAGENET.std,
        classes='camvid11', class_names=names,
    )  # fmt: skip
    torch.manual_seed(0)
    save_card(card, BACKBONES.get(network)(11), folder / 'models')
    path = folder / 'pairs.yaml'
    path.write_text(
        yaml.safe_dump({
            'stage': 'pairs', 'model': 'net', 'propagations': ['tamed_warping'], 'interior': interior,
            'epochs': 1, 'batch': 2, 'images_per_epoch': 2, 'crop': list(SIZE), 'distances': [2, 3],
            'data': {'camvid': {'split': 'train'}}, 'evaluate': {'camvid': 'val'}, 'evaluate_every': 9,
        })
    )  # fmt: skip
    folders = {'camvid': folder / 'camvid'}
    return run_recipe(path, folders, folder / 'runs', folder / 'models', resume=False)


def test_parts_belong_to_the_layer_they_were_trained_at(tmp_path: Path) -> None:
    (card,) = train(tmp_path, 'mobilenet_fpn', 1)
    assert card.name == 'net.tamed_warping@1'
    path = tmp_path / 'models/net.tamed_warping@1.yaml'
    video = scored_on(read_card(path), tmp_path / 'camvid', 'val')
    assert not list(differences(card.scores, measure(read_card(path), video, 'camvid_val')))
    assert 'full_precision' in card.scores
    kinds = {
        tensor.dtype for tensor in load_file(path.with_suffix('.safetensors')).values() if tensor.dim() > 1
    }
    assert kinds == {torch.float16}

    model = str(tmp_path / 'models/net.yaml')
    wanted = SegmenterConfig(
        model=model, propagation='tamed_warping', scheduler='fixed_interval', track='blocking', interior=1
    )
    segmenter = build_segmenter(wanted).segmenter
    answers = [segmenter.step(Frame(picture(i, SIZE), i, i)) for i in range(2)]
    assert [answer.decision.is_key_frame for answer in answers] == [True, False]
    assert answers[1].labels.max() < 11
    with pytest.raises(VssError, match=r"'tamed_warping' has no weights for model 'net'"):
        build_segmenter(replace(wanted, interior=2))


def test_a_layer_that_the_backbone_has_not_is_told_before_training(tmp_path: Path) -> None:
    with pytest.raises(VssError, match=r'interior layer 1: lernet can be cut at 0 \(0: its own\)'):
        train(tmp_path, 'lernet', 1)
    assert not list((tmp_path / 'runs').rglob('checkpoint.pt'))
