"""Class weights are taken back from what a trained network answers."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from vss_ros.engine.backbones import BACKBONES
from vss_ros.errors import VssError
from vss_ros.training.logit_adjustment import without_class_weights

WEIGHTS = torch.linspace(0.5, 3.0, 11)
pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.mark.parametrize(
    'name', [member.name for member in BACKBONES if member.name not in ('external', 'resnet101_psp')]
)
@pytest.mark.parametrize('share', [0.0, 0.5, 1.0])
def test_logits_are_lower_by_the_weights_logarithm(name: str, share: float) -> None:
    torch.manual_seed(0)
    network = BACKBONES.get(name)(11).eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = network(image)
        after = without_class_weights(network, WEIGHTS, share)(image)
        again = network(image)
    assert torch.allclose(after, before - share * WEIGHTS.log().view(1, -1, 1, 1), atol=1e-5)
    assert torch.equal(again, before)  # the network that goes on training is left alone


def test_the_answers_are_the_true_frequencies_again() -> None:
    """What weighted cross entropy learns of one pixel is known: w p, normalised."""
    frequency = torch.tensor([0.7, 0.25, 0.05])
    weights = torch.tensor([0.5, 1.0, 3.0])
    labels = torch.multinomial(frequency, 20_000, replacement=True, generator=torch.manual_seed(0))
    logits = torch.zeros(3, requires_grad=True)
    optimiser = torch.optim.SGD([logits], 1.0)
    for _ in range(400):
        optimiser.zero_grad()
        cross_entropy(logits.expand(len(labels), 3), labels, weights).backward()
        optimiser.step()
    assert (logits.softmax(0) - frequency).abs().max() > 0.1
    assert torch.allclose((logits - weights.log()).softmax(0), frequency, atol=0.01)


def test_a_network_without_such_a_classifier_is_told() -> None:
    network = BACKBONES.get('lernet')(11)
    network.classify = nn.Conv2d(128, 11, 1, bias=False)
    with pytest.raises(VssError, match=r'LERNet: expected classify to end in .* set logit_adjustment to 0'):
        without_class_weights(network, WEIGHTS)
