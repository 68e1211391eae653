"""Settings, declared once: a dataclass is what the connector gets, what `validate` and the docs know, and what is checked."""
from __future__ import annotations

import dataclasses
import re
from datetime import timedelta
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Type, Union, get_args, get_origin, get_type_hints

from .errors import ConfigError

try:  # Python 3.8 has Literal; a name for `X | None` came with 3.10
    from types import UnionType as _UnionType
except ImportError:  # pragma: no cover
    _UnionType = Union  # type: ignore[assignment,misc]

_KEY = "dataflow_connector"


def setting(default: Any = dataclasses.MISSING, *, doc: str = "", example: str = "", secret: bool = False, name: str = "",
            min: Optional[int] = None, max: Optional[int] = None, values: Sequence[str] = ()) -> Any:
    """One setting of a dataclass. Required when it has no default. Its type is the annotation: str, bool, int, timedelta ("1m30s"), list[str],
    dict[str, str], Any (any JSON). Its name is the attribute's in camel case (poll_interval: pollInterval) or `name`. `secret`: never shown,
    and may come from a Secret. `values`: the only texts that are allowed."""
    facts = {"doc": doc, "example": example, "secret": secret, "name": name, "min": min, "max": max, "values": list(values)}
    if isinstance(default, (list, dict)):
        copied = default
        return dataclasses.field(default_factory=lambda: type(copied)(copied), metadata={_KEY: facts})
    return dataclasses.field(default=default, metadata={_KEY: facts})


# ---- durations -----------------------------------------------------------------------------------------------

_SECONDS = {"ns": 1e-9, "us": 1e-6, "\u00b5s": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|\u00b5s|ms|s|m|h|d)")


def parse_duration(text: str) -> timedelta:
    """"1m30s" and the like. ValueError."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("not a duration like 1m30s")
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))


def format_duration(value: timedelta) -> str:
    microseconds = round(value.total_seconds() * 1e6)
    for unit, size in (("s", 1_000_000), ("ms", 1000)):
        if microseconds % size == 0:
            return f"{microseconds // size}{unit}"
    return f"{microseconds}us"


# ---- types ---------------------------------------------------------------------------------------------------

def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _duration(value: Any) -> timedelta:
    if not isinstance(value, str):
        raise ValueError("not a duration like 1m30s")
    return parse_duration(value)


def _of(accepts: Callable[[Any], bool], what: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not accepts(value):
            raise ValueError(f"not {what}")
        return value
    return check


_INT64 = 1 << 63
# The protocol's name of a type: what makes the Python value of the JSON one, or raises ValueError.
_TYPES: Dict[str, Callable[[Any], Any]] = {
    "string": _of(lambda v: isinstance(v, str), "a text"),
    "bool": _of(lambda v: isinstance(v, bool), "true or false"),
    "int64": _of(lambda v: _is_int(v) and -_INT64 <= v < _INT64, "a whole number"),
    "duration": _duration,
    "strings": _of(lambda v: isinstance(v, list) and all(isinstance(item, str) for item in v), "a list of texts"),
    "map": _of(lambda v: isinstance(v, dict), "a map"),
    "json": lambda v: v,
}
_NAMES: Dict[Any, str] = {str: "string", bool: "bool", int: "int64", timedelta: "duration", list: "strings", dict: "map", Any: "json"}


def _type_name(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Union or origin is _UnionType:  # Optional[X]
        parts = [part for part in get_args(annotation) if part is not type(None)]
        if len(parts) == 1:
            return _type_name(parts[0])
    found = _NAMES.get(origin or annotation)
    if found is None:
        raise TypeError(f"a setting cannot be a {annotation}")
    return found


@dataclasses.dataclass(frozen=True)
class Field:
    """One setting: `attribute` of the dataclass, `name` in the manifest."""
    attribute: str
    name: str
    type: str
    required: bool
    default: Any
    facts: Mapping[str, Any]

    def describe(self) -> Dict[str, Any]:
        """As in section 6 of docs/connector-protocol.md."""
        described: Dict[str, Any] = {"name": self.name, "type": self.type}
        if self.required:
            described["required"] = True
        text = self._default_text()
        if text is not None:
            described["default"] = text
        described.update((key, value) for key, value in self.facts.items()
                         if key != "name" and value not in (None, "", [], False))
        return described

    def _default_text(self) -> Optional[str]:
        if isinstance(self.default, timedelta):
            return format_duration(self.default)
        if isinstance(self.default, bool):
            return "true" if self.default else None
        if isinstance(self.default, (str, int)) and self.default != "":
            return str(self.default)
        return None

    def read(self, value: Any) -> Any:
        """ConfigError."""
        try:
            read = _TYPES[self.type](value)
            self._check(read)
        except ValueError as error:
            shown = "" if self.facts.get("secret") else f" ({repr(value)[:100]})"
            raise ConfigError(f"setting {self.name}: {error}{shown}") from None
        return read

    def _check(self, value: Any) -> None:
        low, high, values = self.facts.get("min"), self.facts.get("max"), self.facts.get("values")
        if low is not None and value < low:
            raise ValueError(f"less than {low}")
        if high is not None and value > high:
            raise ValueError(f"more than {high}")
        if values and value not in values:
            raise ValueError("not one of " + ", ".join(values))
        if self.required and value == "":
            raise ValueError("empty")


def fields_of(cls: Type[Any]) -> List[Field]:
    """TypeError: not a dataclass, or a type that a setting cannot have."""
    if cls is type(None) or cls is Any:
        return []
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"{cls} is not a dataclass")
    hints = get_type_hints(cls)
    found = []
    for field in dataclasses.fields(cls):
        facts = field.metadata.get(_KEY, {})
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        found.append(Field(field.name, facts.get("name") or _camel_case(field.name), _type_name(hints[field.name]), required,
                           None if field.default is dataclasses.MISSING else field.default, facts))
    return found


def _camel_case(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def read_settings(cls: Type[Any], config: Mapping[str, Any]) -> Any:
    """An instance of the dataclass. ConfigError: a setting is missing or wrong. Others are left alone: they are the pipeline's own (batchSize),
    and what nobody knows is found by `validate`."""
    values: Dict[str, Any] = {}
    for field in fields_of(cls):
        value = config.get(field.name)
        if value is not None:
            values[field.attribute] = field.read(value)
        elif field.required:
            raise ConfigError(f"setting {field.name} is required")
    return cls(**values) if cls is not type(None) and cls is not Any else None


def secrets_of(cls: Type[Any], settings: Any) -> Tuple[str, ...]:
    """The texts of the secret settings."""
    texts: List[str] = []
    for field in fields_of(cls):
        value = getattr(settings, field.attribute) if field.facts.get("secret") else None
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, list):
            texts.extend(item for item in value if isinstance(item, str))
    return tuple(texts)
