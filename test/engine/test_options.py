"""Options are declared once: the engine, the command line, the node and the shipped file say the same."""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from vss_ros.cli.common import add_segmenter_arguments, segmenter_config
from vss_ros.engine.options import (
    DEFAULTS,
    OFFLINE,
    PARAMETERS,
    SETTINGS,
    NodeConfig,
    SegmenterConfig,
    node_config,
    parameter_fault,
    parameter_file,
    parameters,
)
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_shipped_file_is_what_the_options_say(project_root: Path) -> None:
    shipped = (project_root / 'config/segment.yaml').read_text()
    assert shipped == parameter_file(), (
        'write it with: python -m vss_ros.engine.options > config/segment.yaml'
    )
    assert yaml.safe_load(shipped)['/**']['ros__parameters'] == DEFAULTS
    assert list(DEFAULTS) == list(PARAMETERS)


def test_node_and_command_line_offer_the_settings_of_the_engine() -> None:
    assert set(SETTINGS) == {f.name for f in fields(SegmenterConfig)}
    assert set(SETTINGS) - set(PARAMETERS) == {'slow_delay'}  # a robot has a real slow track
    parser = argparse.ArgumentParser()
    add_segmenter_arguments(parser)
    assert set(SETTINGS) - set(vars(parser.parse_args([]))) == {'max_gap'}  # files have no silence


def test_defaults_are_the_same_everywhere() -> None:
    parser = argparse.ArgumentParser()
    add_segmenter_arguments(parser)
    by_cli = segmenter_config(parser.parse_args([]))
    assert repr(by_cli) == repr(OFFLINE)  # a threshold of NaN equals nothing
    assert repr(node_config(DEFAULTS)) == repr(node_config({})) == repr(NodeConfig())
    assert repr(NodeConfig().segmenter) == repr(replace(OFFLINE, slow_delay=0)) == repr(SegmenterConfig())


def test_every_option_reaches_the_engine_from_command_line_and_node() -> None:
    values: dict[str, Any] = {
        'model': 'm.yaml', 'propagation': 'none', 'scheduler': 'fixed_interval', 'threshold': 0.25,
        'min_interval': 2, 'interval': 7, 'track': 'blocking', 'slow_delay': 3, 'device': 'cuda:1',
        'size': '72x96', 'threads': 3, 'motion': 'light_flow', 'max_gap': 0.5, 'interior': 2,
        'runtime': 'onnxruntime', 'precision': 'bf16', 'slow_duty': 0.5, 'trust': True,
        'min_confidence': 0.25,
    }  # fmt: skip
    wanted = SegmenterConfig(**(values | {'size': (72, 96)}))
    parser = argparse.ArgumentParser()
    add_segmenter_arguments(parser)
    words = [
        word
        for name, value in values.items()
        if SETTINGS[name].offline
        for word in (f'--{name.replace("_", "-")}', *([] if value is True else [str(value)]))
    ]
    assert segmenter_config(parser.parse_args(words)) == replace(wanted, max_gap=1.0)
    of_node = {name: value for name, value in values.items() if SETTINGS[name].node}
    assert node_config(of_node).segmenter == replace(wanted, slow_delay=0)
    assert parameters(wanted) == of_node


def test_a_threshold_of_zero_is_not_the_models_own() -> None:
    assert math.isnan(node_config({'threshold': 0.0}).segmenter.threshold)
    assert 0 < parameters(SegmenterConfig(threshold=0.0))['threshold'] < 1e-6


@pytest.mark.parametrize(
    ('name', 'value', 'said'),
    [
        ('interior', 4, 'interior is 4, out of its range 0 to 3'),
        ('interior', True, 'interior is True, expected int'),
        ('autostart', 1, 'autostart is 1, expected bool'),
        ('max_gap', 'long', "max_gap is 'long', expected float"),
        ('track', 'slow', "track is 'slow', expected one of: blocking, fast_slow"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(name: str, value: Any, said: str) -> None:
    assert parameter_fault(name, value) == said
    with pytest.raises(VssError) as error:
        node_config({name: value, 'mask_encoding': 'rgb8'})
    assert said in str(error.value)
    assert 'mask_encoding' in str(error.value)  # all faults at once


def test_whole_numbers_do_for_floats_and_other_names_are_not_judged() -> None:
    assert parameter_fault('max_gap', 2) == ''
    assert isinstance(node_config({'max_gap': 2}).segmenter.max_gap, float)
    assert parameter_fault('use_sim_time', 'anything') == ''


@pytest.mark.parametrize(
    'cameras', [['front', 'front'], 'a b', ['model'], ['x/y'], ['qos_overrides'], 7, ['_a']]
)
def test_cameras_that_cannot_be_called_so(cameras: Any) -> None:
    assert re.search(r'^cameras is .*, expected names', parameter_fault('cameras', cameras))


def test_cameras_come_as_a_list_or_a_text() -> None:
    for given in (['front', 'rear'], 'front, rear', ['front', '', 'rear']):
        assert parameter_fault('cameras', given) == ''
        config = node_config({'cameras': given})
        assert config.cameras == ('front', 'rear')
        assert parameters(config)['cameras'] == ['front', 'rear']
    assert node_config({'cameras': ''}).cameras == node_config({'cameras': []}).cameras == ()
