"""Rows in one form for all engines: what write-tables.ts expects, and what engines return as Python values."""

import json
import math
from datetime import date, datetime, timezone
from decimal import Decimal


def expected_rows(rows, columns):
    """Canonical text of the writer, as Python values of the column's type; columns a row does not name are null."""
    return sorted_rows([expected(struct_of(columns), row) for row in rows])


def returned_rows(rows, columns):
    return sorted_rows([returned(struct_of(columns), row) for row in rows])


def struct_of(columns):
    return {"type": "struct", "fields": columns}


def sorted_rows(rows):
    return sorted(rows, key=repr)


def expected(kind, value):
    if value is None or isinstance(value, bool):
        return value
    if kind in ("int", "long"):
        return int(value)
    if kind == "double":
        return number(float(value))
    if kind == "date":
        return date.fromisoformat(value)
    if kind == "timestamp":
        return datetime.fromisoformat(value)
    if kind == "timestamptz":
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    if kind == "json":
        return json_key(value)
    if kind == "string":
        return value
    if kind == "binary":
        return bytes.fromhex(value)
    if isinstance(kind, str) and kind.startswith("decimal"):
        return Decimal(value).normalize()
    return inside(kind, value, expected)


def returned(kind, value):
    """What an engine gave, made comparable: no scale, no zone names, JSON as JSON."""
    if value is None:
        return None
    if kind == "json":
        return json_key(value)
    if kind == "binary":
        return bytes.fromhex(value) if isinstance(value, str) else bytes(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, Decimal):
        return value.normalize()
    if isinstance(value, datetime) and value.tzinfo is not None:
        moment = value.astimezone(timezone.utc)
        return moment if kind == "timestamptz" else moment.replace(tzinfo=None)
    return inside(kind, value, returned) if isinstance(value, (dict, list)) else value


def inside(kind, value, convert):
    if kind["type"] == "list":
        return [convert(kind["element"], item) for item in value]
    return {field["name"]: convert(field["type"], value.get(field["name"])) for field in kind["fields"]}


def number(value):
    return "NaN" if math.isnan(value) else value


def json_key(text):
    """A JSON string among other kinds of values is kept as its plain text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


NULL_LISTS = "a null list is shown as an empty one"
NULL_LISTS_OF_STRUCTS = "a null list of structs is shown as an empty one in files that lack one of the structs' columns"
NULL_STRUCTS = "a null struct is shown as a struct of nulls"


def differ(expectation, rows, wanted):
    columns = expectation["columns"]
    return returned_rows(rows, columns) != expected_rows(wanted, columns)


def same_rows(engine, expectation, rows, wanted=None):
    """Asserts that these are the rows, blurred as the engine is known to blur. The blurs it took."""
    columns = expectation["columns"]
    got = returned_rows(rows, columns)
    want = expected_rows(expectation["rows"] if wanted is None else wanted, columns)
    if got == want:
        return ()
    assert nulls_weakened(engine.blurs, columns, got) == nulls_weakened(engine.blurs, columns, want)
    return [blur for blur in engine.blurs if nulls_weakened(set(engine.blurs) - {blur}, columns, got) != nulls_weakened(set(engine.blurs) - {blur}, columns, want)]


def nulls_weakened(blurs, columns, rows):
    """Rows as an engine shows them that cannot tell some nulls from emptiness."""
    return sorted_rows([weaken(blurs, struct_of(columns), row) for row in rows])


def weaken(blurs, kind, value):
    if isinstance(kind, str):
        return value
    if kind["type"] == "list":
        of_structs = isinstance(kind["element"], dict) and kind["element"]["type"] == "struct"
        if value is None:
            return [] if NULL_LISTS in blurs or (of_structs and NULL_LISTS_OF_STRUCTS in blurs) else None
        return [weaken(blurs, kind["element"], item) for item in value]
    if value is None and NULL_STRUCTS not in blurs:
        return None
    return {field["name"]: weaken(blurs, field["type"], (value or {}).get(field["name"])) for field in kind["fields"]}
