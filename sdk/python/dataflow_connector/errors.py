"""Errors with a code: it alone decides what the pipeline does (try again, error sink, stop)."""
from __future__ import annotations

import socket
from typing import Any, Dict, Optional, Tuple, Type


class ConnectorError(Exception):
    """The text names the thing and the fix, and never a secret. `code` may also be the other side's own ("23505"); then `retryable` says
    whether trying again makes sense."""

    code = "unknown"

    def __init__(self, message: str, *, code: Optional[str] = None, retryable: Optional[bool] = None) -> None:
        super().__init__(message)
        self.code = code if code is not None else type(self).code
        self.retryable = retryable


class ConnectionFailed(ConnectorError):
    """The other side cannot be reached, or went away: the connector is started again."""
    code = "connection_error"


class TimedOut(ConnectorError):
    """No answer in time: the connector is started again."""
    code = "timeout"


class Transient(ConnectorError):
    """Tried again, with backoff."""
    code = "transient"


class AuthFailed(ConnectorError):
    """Tried again a few times, then the pipeline stops."""
    code = "auth_error"


class InvalidData(ConnectorError):
    """This message cannot be written, now or later: it goes to the error sink."""
    code = "invalid_data"


class ConstraintViolation(ConnectorError):
    """This message breaks a rule of the other side: it goes to the error sink."""
    code = "constraint_violation"


class ConfigError(ConnectorError):
    """The settings are wrong: the pipeline stops."""
    code = "config"


# What other exceptions mean, first match wins. A message is to blame for the second group only while messages are being written.
_MEANINGS: Tuple[Tuple[Tuple[Type[BaseException], ...], str], ...] = (
    ((ConnectionError, EOFError, socket.gaierror), "connection_error"),
    ((TimeoutError, socket.timeout), "timeout"),
    ((FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError), "config"),
    ((OSError,), "transient"),
)
_BLAMES_A_MESSAGE = (ValueError, TypeError, LookupError, ArithmeticError)


def code_of(error: BaseException, writing: bool = False) -> Optional[str]:
    """None: the exception's class says nothing, so the pipeline looks at its text."""
    if isinstance(error, ConnectorError):
        return error.code
    for types, code in _MEANINGS:
        if isinstance(error, types):
            return code
    return "invalid_data" if writing and isinstance(error, _BLAMES_A_MESSAGE) else None


def answer_of(error: BaseException, writing: bool = False) -> Dict[str, Any]:
    """The fields `message`, `code` and `retryable` of an answer."""
    text = str(error)
    if not isinstance(error, ConnectorError):  # "'id'" alone says little: KeyError: 'id'
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    answer: Dict[str, Any] = {"message": text}
    code = code_of(error, writing)
    if code is not None:
        answer["code"] = code
    if isinstance(error, ConnectorError) and error.retryable is not None:
        answer["retryable"] = error.retryable
    return answer
