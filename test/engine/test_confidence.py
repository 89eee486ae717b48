"""How sure answers are: the winner's probability at the temperature of its class and age."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from vss_ros.engine.confidence import DECAY, UNKNOWN, Calibration, Confidence, Group, confidence_upsampled

NAMES = ('road', 'pole', 'sky')
LEARNED = Calibration(
    ages=(0, 4),
    groups=(
        Group(classes=('road',), temperatures=(1.0, 2.0)),
        Group(classes=('pole',), temperatures=(2.0, 6.0)),
    ),
)


def logits() -> torch.Tensor:
    """Return answers road on the left and pole on the right, a logit of 3 above the others."""
    values = torch.zeros(1, 3, 4, 8)
    values[:, 0, :, :4] = 3.0
    values[:, 1, :, 4:] = 3.0
    return values


def sure(temperature: float) -> int:
    return int(255 * torch.tensor([3.0, 0, 0]).div(temperature).softmax(0)[0])


def test_without_temperatures_it_is_the_winners_probability() -> None:
    certain = torch.zeros(1, 4, 6, 8)
    certain[:, 2] = 30.0
    assert confidence_upsampled(certain, (12, 16)).min() == 255
    assert abs(int(confidence_upsampled(torch.zeros(1, 4, 6, 8), (12, 16), factor=0.5).max()) - 255 // 8) <= 1
    found = Confidence().of(logits(), (4, 8), 5)
    assert np.abs(found.astype(int) - int(255 * DECAY**5 * sure(1) / 255)).max() <= 1


@pytest.mark.parametrize(('age', 'road', 'pole'), [(0, 1, 2), (2, 1.5, 4), (4, 2, 6), (99, 2, 6)])
def test_each_class_has_its_temperature_at_each_age(age: int, road: float, pole: float) -> None:
    found = Confidence(LEARNED, NAMES).of(logits(), (4, 8), age).astype(int)
    assert np.abs(found[:, :4] - sure(road)).max() <= 1
    assert np.abs(found[:, 4:] - sure(pole)).max() <= 1


def test_a_class_in_no_group_keeps_the_networks_own() -> None:
    assert LEARNED.temperatures(4, NAMES).tolist() == [2, 6, 1]


def test_hides_what_is_less_sure() -> None:
    labels = np.zeros((1, 3), np.uint8)
    Confidence(least=0.5).hide(labels, np.array([[127, 128, 255]], np.uint8))
    assert labels.tolist() == [[UNKNOWN, 0, 0]]
    Confidence().hide(labels, np.zeros((1, 3), np.uint8))
    assert labels.tolist() == [[UNKNOWN, 0, 0]]


@pytest.mark.parametrize(
    ('ages', 'temperatures', 'fault'),
    [((0, 4), (1.0,), 'as many temperatures'), ((4, 0), (1.0, 1.0), 'rising ages'), ((0,), (0.0,), 'than 0')],
)
def test_refuses_a_table_that_is_none(
    ages: tuple[int, ...], temperatures: tuple[float, ...], fault: str
) -> None:
    with pytest.raises(ValidationError, match=fault):
        Calibration.model_validate(
            {'ages': ages, 'groups': [{'classes': ('road',), 'temperatures': temperatures}]}
        )
