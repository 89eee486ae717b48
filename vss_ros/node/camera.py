"""What comes with a camera's images beside pixels: who sends them, and what never came."""

from __future__ import annotations

import time
from math import inf
from typing import TYPE_CHECKING, Any

from rclpy.qos import QoSPolicyKind
from rclpy.qos_overriding_options import QoSOverridingOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rclpy.node import Node

FOLLOW_S = 0.5
"""Seconds between two looks at who publishes."""
YOUNG_S = 2.0
"""Seconds after activation in which a publisher that appears may have published before."""
MOST_HZ = 60
"""A publisher that numbers its first image higher than this rate allows was there before we saw it."""


class LossCounter:
    """Counts messages that were sent and never came, each once, from two accounts of it.

    The publisher numbers its messages, where the middleware hands numbers on (Fast DDS with rclpy from Kilted
    on): a gap counts all, also those the publisher itself replaced before they were sent again. The event
    ``message_lost`` knows a part of them, but also what is lost before the first and after the last.
    """

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._last: dict[bytes, int] = {}  # by publisher
        self._told = self._surplus = 0  # since the last message: lost by events, and by its gap beyond them
        self._seen: dict[bytes, float] = {}  # when a publisher appeared; inf: before or with us
        self._young_until = time.monotonic() + YOUNG_S

    def seen(self, publishers: Iterable[bytes]) -> None:
        """Take who publishes now, every ``FOLLOW_S``: what a new publisher sends from its start counts."""
        for publisher in publishers:
            self._seen.setdefault(publisher, self._appeared())

    def _appeared(self) -> float:
        now = time.monotonic()
        return now if now > self._young_until else inf

    def _first(self, publisher: bytes, number: int) -> int:
        """Return the number from which on a publisher's messages count, given the first that came."""
        seconds = time.monotonic() - self._seen.get(publisher, self._appeared()) + FOLLOW_S
        return 1 if number <= seconds * MOST_HZ else number

    def arrived(self, info: Mapping[str, Any]) -> bool:
        """Look at a message's information; return whether messages are missing before it."""
        number, gid = info.get('publication_sequence_number'), info.get('publisher_gid')
        if not number or not gid:
            return False
        publisher = bytes(gid['data'])
        last = self._last.get(publisher)
        gap = number - (self._first(publisher, number) - 1 if last is None else last) - 1
        self._last[publisher] = max(number, last or 0)
        self._surplus = max(gap - self._told, 0)
        self._told = 0
        if self._surplus:
            self._tell(self._surplus)
        return gap > 0

    def lost(self, number: int) -> None:
        """Take what an event says was lost."""
        known = min(number, self._surplus)
        self._surplus -= known
        self._told += number - known
        if number > known:
            self._tell(number - known)


def overridable(node: Node, topic: str, kind: str) -> QoSOverridingOptions:
    """Return which policies ``qos_overrides.TOPIC.KIND`` may set; ``kind`` is subscription or publisher.

    Reliability of a subscription only where it is given: it else follows the publishers'.
    """
    policies = [QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH]
    name = f'qos_overrides.{node.resolve_topic_name(topic)}.{kind}.reliability'
    if kind == 'publisher':
        policies += [QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY]
    elif name in node._parameter_overrides:
        policies.append(QoSPolicyKind.RELIABILITY)
    return QoSOverridingOptions(policies)
