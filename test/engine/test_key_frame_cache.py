"""The key-frame cache: which late results still belong to the key frame it holds."""

from __future__ import annotations

import torch

from vss_ros.engine.memory.key_frame_cache import KeyFrameCache


def store(cache: KeyFrameCache) -> int:
    """Store a key frame; returns its number."""
    features = torch.zeros(1)
    return cache.store(stamp_ns=0, propagation=features, scheduler=None, high=features, propagated=2).number


def test_features_become_accurate_while_their_key_frame_is_held() -> None:
    cache = KeyFrameCache()
    number = store(cache)
    cache.advance(torch.zeros(1), torch.zeros(1))
    assert cache.make_accurate(number, torch.ones(1))
    assert cache.last is None  # propagated from the less accurate ones
    assert cache.key is not None
    assert cache.key.accurate
    assert cache.key.high.item() == 1
    store(cache)
    assert not cache.make_accurate(number, torch.ones(1))


def test_the_last_frame_is_the_next_ones_source() -> None:
    cache = KeyFrameCache()
    store(cache)
    prepared, high = torch.full((1,), 2.0), torch.full((1,), 3.0)
    cache.advance(prepared, high)
    assert cache.last is not None
    assert cache.last.prepared is prepared
    assert cache.last.high is high


def test_a_number_from_before_a_reset_is_not_given_again() -> None:
    cache = KeyFrameCache()
    submitted = store(cache)
    cache.reset()
    assert cache.key is None
    assert not cache.make_accurate(submitted, torch.ones(1))
    assert store(cache) > submitted
    assert not cache.make_accurate(submitted, torch.ones(1))
