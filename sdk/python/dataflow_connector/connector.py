"""What a connector's author writes: a subclass of Source or Sink."""
from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence

from .message import Message

# Partition: position. A source of one stream has one partition, "".
Positions = Dict[str, Any]
# Index of a message that was not written: why.
Failures = Mapping[int, BaseException]


@dataclass(frozen=True)
class Options:
    """What the pipeline says about itself."""
    namespace: str = ""
    name: str = ""  # the flow's
    once: bool = False  # a run with an end
    resumed: bool = False  # sinks: what was written before is not written again


class Connector:
    """Made with its settings, which are those of the manifest, checked, with defaults filled in. All methods are called from one thread,
    but for `cancel`."""

    settings: Any = None  # give it your own type: `settings: MySettings`, a dataclass
    options: Options
    log: logging.Logger
    stopping: threading.Event  # set when nobody waits for the answer any more

    def __init__(self, settings: Any = None, options: Optional[Options] = None) -> None:
        self.settings = settings
        self.options = options or Options()
        self.log = logging.getLogger(type(self).__module__ + "." + type(self).__name__)
        self.stopping = threading.Event()

    def connect(self) -> None:
        """Opens what is needed. Raises ConnectionFailed, AuthFailed, TimedOut, ConfigError (or what `socket` and `open` raise)."""

    def close(self) -> None:
        """Gives back what connect took. Called once, when connect succeeded, also after errors."""

    def cancel(self) -> None:
        """From another thread: nobody waits for the answer of read or write any more. For what `stopping` cannot end: shut a socket
        down, cancel a query."""

    def pause(self, seconds: float) -> bool:
        """Sleeps; True, at once, when the connector is to stop."""
        return self.stopping.wait(seconds)


class Source(Connector):
    in_flight = 4  # reads that the pipeline sends ahead
    poll_interval = 0.2  # seconds between two looks when there is nothing new

    def read(self, positions: Positions) -> Iterator[Optional[Message]]:
        """Yields messages, beginning behind `positions` (what was stored at the other end before the last stop; empty: from the
        beginning). `yield None` says that there is nothing at the moment: do so instead of waiting. Returning says that there will never be
        anything again.

        Each message has its `position`, any JSON value that tells this method where to go on behind it."""
        raise NotImplementedError
        yield None

    def ack(self, positions: Positions) -> None:
        """Everything up to these positions is stored at the other end. Only for servers that keep the position themselves: the pipeline
        keeps `positions` in any case."""


class Sink(Connector):
    # Writes that the pipeline sends ahead. More than 1 only when messages of one key may be written in another order than they came
    # (after an error, the failed ones come again behind those that were ahead).
    in_flight = 1

    def write(self, messages: Sequence[Message]) -> Optional[Failures]:
        """Writes them in order and returns when they are stored: then it is final. What cannot be written is returned: {index: error}; all
        others are taken for written. An exception says that none was written, or that it is not known: they come again, so writing
        one twice should do no harm."""
        raise NotImplementedError
