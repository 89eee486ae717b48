"""The shipped Fast DDS profile delivers images that the defaults lose, between two real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import pytest

from vss_ros.resources import large_image_environment

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
IMAGES = 100
TRIES = 3


class Delivery(TypedDict):
    """What the receiving process prints."""

    received: int
    p50_ms: float | None
    missing: list[int]
    """Numbers of the images that did not arrive."""


def deliver(env: dict[str, str]) -> Delivery:
    """Send IMAGES images of 6.3 MB at 25 Hz from one process to another."""
    # The sender needs 20 s for discovery at worst and 4 s for the images.
    receiver = subprocess.Popen(
        [sys.executable, str(HERE / 'large_image_receiver.py'), str(IMAGES), '15'],
        env=env, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        subprocess.run(
            [sys.executable, str(HERE / 'large_image_sender.py'), str(IMAGES)],
            env=env,
            check=True,
            timeout=60,
        )
        out, _ = receiver.communicate(timeout=60)
    finally:
        receiver.kill()
        receiver.wait()
    answer: Delivery = json.loads(out)
    return answer


def test_profile_delivers_every_large_image(
    ros_domain: dict[str, str], record_property: Callable[[str, object], None]
) -> None:
    if os.environ.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp') != 'rmw_fastrtps_cpp':
        pytest.skip(f'the profile is for Fast DDS, not for {os.environ["RMW_IMPLEMENTATION"]}')
    with_profile = ros_domain | large_image_environment(ros_domain)
    assert with_profile != ros_domain
    default = deliver(ros_domain)
    tries = [deliver(with_profile)]
    # A machine that is busy elsewhere may hold a process up for longer than the queue; each try is shown.
    while tries[-1]['missing'] and len(tries) < TRIES:
        tries.append(deliver(with_profile))
    tuned = tries[-1]
    first_try = ''.join(f', after a try that lacked images {failed["missing"]}' for failed in tries[:-1])
    figures = (
        f'1024x2048 rgb8, 25 Hz, best effort, two processes: defaults {default["received"]}/{IMAGES} '
        f'(p50 {default["p50_ms"]} ms), profile {tuned["received"]}/{IMAGES} (p50 {tuned["p50_ms"]} ms)'
        f'{first_try}'
    )
    record_property('figures', figures)
    print(figures)
    assert tuned['received'] >= default['received'], figures
    assert not tuned['missing'], f'{figures}; lacking images {tuned["missing"]}'
