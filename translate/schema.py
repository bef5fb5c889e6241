"""JSON schemas of what people and coders write, and errors of one line."""

import functools
import json
from importlib import resources
from typing import Any

FOLDER = resources.files(__package__) / "schemas"


@functools.cache
def load(name: str) -> dict[str, Any]:
    """The schema of that name, such as "plan". Raises ValueError where there is none."""
    file = FOLDER / f"{name}.json"
    if not file.is_file():
        there = sorted(f.name.removesuffix(".json") for f in FOLDER.iterdir())
        raise ValueError(f"there is no schema {name!r}; there are {there}")
    schema: dict[str, Any] = json.loads(file.read_text())
    return schema


def check(name: str, value: Any, place: str) -> None:
    """Raises ValueError, which names `place`, the key and what belongs there, unless it fits, and
    ModuleNotFoundError where jsonschema is not installed."""
    try:
        import jsonschema
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "jsonschema is missing; pip install 'simlift[translate]'"
        ) from None
    errors = list(jsonschema.Draft202012Validator(load(name)).iter_errors(value))
    if errors:
        # The outermost error first: what is wrong inside may follow from it.
        error = min(errors, key=lambda error: (len(error.absolute_path), list(error.schema_path)))
        raise ValueError(f"{place}: {_words(error)}")


def _words(error: Any) -> str:
    key = ".".join(str(part) for part in error.absolute_path)
    schema = error.schema if isinstance(error.schema, dict) else {}
    if error.validator == "additionalProperties":
        unknown = sorted(error.instance.keys() - schema["properties"].keys())
        return (
            f"unknown key {'.'.join(filter(None, [key, unknown[0]]))}; "
            f"known are {', '.join(schema['properties'])}"
        )
    if error.validator == "not":  # of a property's name
        return f"{key}.{error.instance} does not belong to this kind; remove it"
    meaning = schema.get("description")
    if error.validator in ("required", "minItems"):
        meaning = None  # of the whole, not of what is missing
    return (f"{key}: " if key else "") + error.message + (f" ({meaning})" if meaning else "")
