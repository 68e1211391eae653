"""Connectors for DataFlow in Python: a source or a sink is a class with four methods, `run` speaks the protocol.

    @dataclass
    class Settings:
        path: str = setting(doc="The file.", example="/data/store.db")

    class MySource(Source):
        settings: Settings

        def connect(self) -> None: ...
        def read(self, positions: Positions) -> Iterator[Message | None]: ...
        def ack(self, positions: Positions) -> None: ...
        def close(self) -> None: ...

    if __name__ == "__main__":
        run("mydb", source=MySource)
"""

from .connector import Connector, Failures, Options, Positions, Sink, Source
from .errors import (AuthFailed, ConfigError, ConnectionFailed, ConnectorError, ConstraintViolation, InvalidData, TimedOut,
                     Transient)
from .message import Message
from .runner import run
from .settings import setting

__all__ = ["AuthFailed", "ConfigError", "ConnectionFailed", "Connector", "ConnectorError", "ConstraintViolation", "Failures",
           "InvalidData", "Message", "Options", "Positions", "Sink", "Source", "TimedOut", "Transient", "run", "setting"]
__version__ = "0.1.0"
