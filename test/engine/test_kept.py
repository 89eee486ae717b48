"""What is kept for the next start: used where it is whole, as if it were not there where it is not."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from runtime_parts import labels

from vss_ros.engine.build import build_segmenter
from vss_ros.engine.frames import Frame
from vss_ros.engine.options import SegmenterConfig
from vss_ros.engine.runtimes import kept as module
from vss_ros.engine.runtimes.kept import MOST_FILES, OLDEST_S, folder, keep, kept
from vss_ros.engine.runtimes.openvino import QuantisedBackbone

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INT8 = SegmenterConfig(propagation='none', device='cpu', threads=1, runtime='openvino', precision='int8')


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a cache of its own."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    return tmp_path / 'vss_ros'


def test_what_was_kept_comes_back_under_its_key_alone() -> None:
    assert kept('a', 1) is None
    keep(b'graph', 'a', 1)
    assert kept('a', 1) == b'graph'
    assert kept('a', 2) is None


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def age(file: Path) -> None:
    past = time.time() - OLDEST_S - 10
    os.utime(file, (past, past))


def ahead(file: Path) -> None:
    os.utime(file, (time.time() + 1000,) * 2)


def fold(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize('spoil', [flip, cut, age, ahead, fold])
def test_what_is_not_as_it_was_kept_is_not_there(place: Path, spoil: Callable[[Path], None]) -> None:
    keep(b'a whole graph', 'key')
    (file,) = place.iterdir()
    spoil(file)
    assert kept('key') is None
    keep(b'another', 'key')  # in its place, or not at all
    assert kept('key') in (b'another', None)


def test_what_a_stranger_kept_is_not_there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(b'graph', 'key')
    assert len(list(place.iterdir())) == 1
    me = os.getuid()
    monkeypatch.setattr(os, 'getuid', lambda: me + 1)
    assert kept('key') is None


def test_another_machine_or_version_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    keep(b'graph', 'key')
    monkeypatch.setattr(module, '_here', lambda: ('another processor',))
    assert kept('key') is None


def test_a_place_that_cannot_be_written_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'file').write_text('in the way')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    keep(b'graph', 'key')
    assert kept('key') is None


def test_the_oldest_go_first(place: Path) -> None:
    for number in range(MOST_FILES + 3):
        keep(b'%d' % number, number)
        newest = max(place.iterdir(), key=lambda file: file.stat().st_mtime_ns)
        os.utime(newest, (time.time() - 1000 + number,) * 2)
    assert len(list(folder().iterdir())) == MOST_FILES
    assert [kept(number) for number in (0, 1, 2)] == [None] * 3
    assert kept(MOST_FILES + 2) is not None


def test_a_later_start_compiles_nothing_and_answers_the_same(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    config = replace(INT8, size=(96, 128))
    first = labels(config, [Frame(image, 0, 0)])
    assert len(list(place.iterdir())) == 1
    with monkeypatch.context() as patch:
        patch.delattr(QuantisedBackbone, '_between')
        assert (labels(config, [Frame(image, 0, 0)]) == first).all()
    flip(*place.iterdir())
    assert (labels(config, [Frame(image, 0, 0)]) == first).all()


def test_a_later_start_remembers_which_precision_is_the_fastest() -> None:
    config = replace(INT8, size=(96, 128), runtime='auto', precision='auto')
    first, second = build_segmenter(config).runtime, build_segmenter(config).runtime
    assert first.precision == second.precision
    assert second.reason == f'{first.reason}, measured by an earlier start; see {folder()}'
    others = build_segmenter(replace(config, size=(128, 96))).runtime
    assert 'measured by an earlier start' not in others.reason
