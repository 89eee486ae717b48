"""The README's example in Python runs as it stands, on the clip that comes with the tests."""

from __future__ import annotations

import re
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from vss_ros.recordings.open import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from vss_ros.recordings.source import SourceFrame

FRAMES = 8
"""Of the clip: all of them would take a quarter of a minute."""


@contextmanager
def beginning(path: str) -> Iterator[Iterator[SourceFrame]]:
    """Stand for ``open_source``."""
    with open_source(path) as source:
        yield islice(source, FRAMES)


def test_the_example_in_python_runs(
    project_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (project_root / 'README.md').read_text()
    blocks = re.findall(r'^```python\n(.*?)^```', text, re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(project_root)
    monkeypatch.setattr('vss_ros.recordings.open.open_source', beginning)
    exec(compile(blocks[0], 'README.md', 'exec'), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == FRAMES
    assert all('key frame' in line for line in lines)  # by default the newest is, whenever the track is free
