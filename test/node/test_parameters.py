"""The node's parameters, the shipped parameter file and the command line say the same."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest
import yaml

from vss_ros.cli.common import add_segmenter_arguments, segmenter_config
from vss_ros.engine.build import SegmenterConfig

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip(
    'rclpy', reason='needs rclpy: run the tests with make test, or source a ROS 2 distribution'
)

from vss_ros.node.parameters import NodeConfig, assignments, parameter_fault

SETTINGS = {f.name for f in fields(SegmenterConfig)}


def test_the_shipped_file_holds_every_parameter_with_its_default(project_root: Path) -> None:
    shipped = yaml.safe_load((project_root / 'config/segment.yaml').read_text())['/**']['ros__parameters']
    assert shipped == {f.name: f.default for f in fields(NodeConfig)}


def test_node_and_command_line_offer_the_settings_of_the_engine() -> None:
    assert SETTINGS - {f.name for f in fields(NodeConfig)} == {'slow_delay'}  # a robot has a real slow track
    parser = argparse.ArgumentParser()
    add_segmenter_arguments(parser)
    assert SETTINGS - set(vars(parser.parse_args([]))) == {'max_gap'}  # files have no silence


def test_motion_and_interior_layer_reach_the_engine() -> None:
    parser = argparse.ArgumentParser()
    add_segmenter_arguments(parser)
    by_cli = segmenter_config(parser.parse_args(['--motion', 'light_flow', '--interior', '1']))
    by_node = NodeConfig(motion='light_flow', interior=1).segmenter()
    assert (by_cli.motion, by_cli.interior) == (by_node.motion, by_node.interior) == ('light_flow', 1)
    assert 'out of its range 0 to 3' in parameter_fault('interior', 4)


@pytest.mark.parametrize(
    'segmenter',
    [
        SegmenterConfig(),
        SegmenterConfig(
            model='/a folder/m.yaml', propagation='none', scheduler='fixed_interval', threshold=0.25,
            min_interval=2, interval=7, track='blocking', device='cuda:1', size=(72, 96), threads=3,
            motion='light_flow', max_gap=0.5, interior=2,
        ),
    ],
)  # fmt: skip
def test_assignments_set_the_node_to_a_segmenter(segmenter: SegmenterConfig) -> None:
    pairs = [word.split(':=', 1) for word in assignments(segmenter)]
    node = NodeConfig(**{name: yaml.safe_load(value) for name, value in pairs})
    assert repr(node.segmenter()) == repr(segmenter)  # a threshold of NaN equals nothing


def test_a_threshold_of_zero_is_not_the_models_own() -> None:
    pairs = dict(word.split(':=', 1) for word in assignments(SegmenterConfig(threshold=0.0)))
    assert 0 < NodeConfig(threshold=float(pairs['threshold'])).segmenter().threshold < 1e-6
