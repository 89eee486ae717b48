"""What a batch's tensors free is there for the next batch's."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Blocks above 32 MiB, which glibc maps one by one however often they come.
PROGRAM = """
import resource, sys, torch
from vss_ros.training.computing import keep_freed_memory
if sys.argv[1] == 'keep':
    assert keep_freed_memory()
for _ in range(20):
    torch.ones(16_000_000)  # until the heap has places for what lives at the same time
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.ones(16_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(word: str) -> int:
    done = subprocess.run([sys.executable, '-c', PROGRAM, word], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='needs glibc, whose malloc is told')
def test_pages_are_cleared_once() -> None:
    assert faults('keep') < 100 < faults('do not')
