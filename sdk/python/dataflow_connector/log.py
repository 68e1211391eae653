"""Log lines: JSON objects on standard error, which the pipeline makes its own. Use `logging` as anywhere."""
from __future__ import annotations

import json
import logging
import os
import sys
from typing import Dict, Iterable, List

_LEVELS: Dict[str, int] = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "warning": logging.WARNING,
                           "error": logging.ERROR}


class Secrets:
    """Texts that must not be seen: replaced in log lines and in errors."""

    def __init__(self) -> None:
        self._texts: List[str] = []

    def add(self, texts: Iterable[str]) -> None:
        self._texts = sorted({*self._texts, *(text for text in texts if text)}, key=len, reverse=True)

    def hide(self, text: str) -> str:
        for secret in self._texts:
            text = text.replace(secret, "***")
        return text


class _Line(logging.Formatter):
    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        level = "warn" if record.levelno == logging.WARNING else record.levelname.lower()
        return json.dumps({"level": "error" if level == "critical" else level, "msg": self._secrets.hide(text), "logger": record.name})


def setup(secrets: Secrets) -> None:
    """Everything that goes through `logging` and `warnings`, from the level in LOG_LEVEL on, goes to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line(secrets))
    logging.basicConfig(handlers=[handler], level=_LEVELS.get(os.environ.get("LOG_LEVEL", "").lower(), logging.INFO), force=True)
    logging.captureWarnings(True)
