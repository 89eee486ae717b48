"""The fused kernel equals the plain version: on CUDA, or by Triton's interpreter on a CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

SCRIPT = """
import torch
from vss_ros.engine.layers.spatially_variant import shift_and_accumulate
from vss_ros.engine.layers.spatially_variant_kernel import fused_spatially_variant_convolution
device = 'cuda' if torch.cuda.is_available() else 'cpu'
torch.manual_seed(0)
for shape, side in (((2, 5, 6, 37), 3), ((1, 40, 4, 9), 9)):
    features = torch.randn(shape, device=device)
    kernels = torch.randn(shape[0], side * side, *shape[2:], device=device).softmax(1)
    expected = shift_and_accumulate(features, kernels)
    for memory in (torch.contiguous_format, torch.channels_last):
        got = fused_spatially_variant_convolution(features.contiguous(memory_format=memory), kernels)
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
        assert got.is_contiguous(memory_format=memory)
"""


@pytest.mark.skipif(
    find_spec('triton') is None,
    reason="needs Triton, which comes with PyTorch's CUDA builds: pip install triton",
)
def test_the_fused_kernel_equals_the_plain_version() -> None:
    # In a process of its own: whether Triton interprets is decided when it is imported.
    environment = dict(os.environ)
    if not torch.cuda.is_available():
        environment['TRITON_INTERPRET'] = '1'
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
