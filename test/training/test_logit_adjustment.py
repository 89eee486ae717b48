"""Class weights are taken back from what a trained network answers."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div

from vss_ros.engine.backbones import BACKBONES
from vss_ros.errors import VssError
from vss_ros.training.teacher import Teacher, take_back

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
        take_back(network, WEIGHTS, share)
        after = network(image)
    assert torch.allclose(after, before - share * WEIGHTS.log().view(1, -1, 1, 1), atol=1e-5)


class Constant(nn.Module):
    """A network of one pixel that knows nothing but its classifier's bias."""

    def __init__(self) -> None:
        """Answer with three classes alike."""
        super().__init__()
        self.classes = 3
        self.classify = nn.Conv2d(1, 3, 1)
        nn.init.zeros_(self.classify.weight)
        nn.init.zeros_(self.classify.bias)  # type: ignore[arg-type]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits ``(N, 3, H, W)``."""
        return self.classify(image[:, :1])  # type: ignore[no-any-return]


@pytest.mark.parametrize('taught', [None, 0.0, 1.0])
def test_the_answers_are_the_true_frequencies_again(taught: float | None) -> None:
    """Also where a teacher that knows them helps, be its own weights taken back or not."""
    frequency, weights = torch.tensor([0.7, 0.25, 0.05]), torch.tensor([0.5, 1.0, 3.0])
    labels = torch.multinomial(frequency, 20_000, replacement=True, generator=torch.manual_seed(0))
    image, pupil, knows = torch.zeros(1, 3, 1, 1), Constant(), Constant()
    with torch.no_grad():
        assert knows.classify.bias is not None
        knows.classify.bias += frequency.log() + (0.0 if taught else 1.0) * weights.log()
    teacher = Teacher(knows, taught or 0.0)  # type: ignore[arg-type]
    optimiser = torch.optim.SGD(pupil.parameters(), 1.0)
    for _ in range(300):
        optimiser.zero_grad()
        logits = pupil(image)
        loss = cross_entropy(logits[:, :, 0, 0].expand(len(labels), 3), labels, weights)
        if taught is not None:
            loss = loss + kl_div(logits.log_softmax(1), teacher.soft_labels(image, weights), reduction='sum')
        loss.backward()
        optimiser.step()
    assert (pupil(image).flatten().softmax(0) - frequency).abs().max() > 0.1
    take_back(pupil, weights)  # type: ignore[arg-type]
    assert torch.allclose(pupil(image).flatten().softmax(0), frequency, atol=0.01)


def test_a_network_without_such_a_classifier_is_told() -> None:
    network = BACKBONES.get('lernet')(11)
    network.classify = nn.Conv2d(128, 11, 1, bias=False)
    with pytest.raises(VssError, match=r'LERNet: expected classify to end in .* set logit_adjustment to 0'):
        take_back(network, WEIGHTS)
