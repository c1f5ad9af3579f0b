"""The official tests of JSON Schema (draft 2020-12) by walking the grammars that schemas become.

Each schema is either enforced, and then right, or refused.
"""

import itertools
import json
import subprocess

import jsonschema
import pytest

from support import cached
from support.server import programs

FORMS_MAX = 60  # texts of one value that are tried
ENFORCED_MIN = 34  # of the suite's schemas


def suite():
    return cached.find("DEEPSEEK_SCHEMA_SUITE", "jsonschema-source-????????????", "schema suite")


def forms(value):
    """Texts of one value: members in any order, whole numbers with and without a fraction."""
    if isinstance(value, dict):
        parts = [
            [json.dumps(name, ensure_ascii=False) + ":" + form for form in forms(member)]
            for name, member in value.items()
        ]
        orders = (
            "{" + ",".join(order) + "}"
            for chosen in itertools.product(*parts)
            for order in itertools.permutations(chosen)
        )
        return list(itertools.islice(orders, FORMS_MAX))
    if isinstance(value, list):
        lists = ("[" + ",".join(items) + "]" for items in itertools.product(*map(forms, value)))
        return list(itertools.islice(lists, FORMS_MAX))
    text = json.dumps(value, ensure_ascii=False)
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
    return [text, str(int(value))] if whole else [text]


class Walker:
    """Asks schema_walk, line by line."""

    def __init__(self):
        self.process = subprocess.Popen(
            [programs() / "schema_walk"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(30) == 0
        self.process.stdout.close()

    def taken(self, schema, values):
        """For each value whether one of its texts is taken; None if the schema is refused."""
        texts = [forms(value) for value in values]
        line = {"schema": json.dumps(schema), "texts": list(itertools.chain(*texts))}
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        kind, rest = self.process.stdout.readline().rstrip("\n").split(" ", 1)
        if kind == "refused":
            return None
        assert kind == "walked" and len(rest) == len(line["texts"])
        bits = iter(rest)
        return ["1" in list(itertools.islice(bits, len(some))) for some in texts]


@pytest.fixture(scope="module")
def walker():
    with Walker() as made:
        yield made


def test_each_schema_is_enforced_right_or_refused(walker):
    enforced, refused, wrong = 0, 0, []
    for file in sorted((suite() / "draft2020-12").glob("*.json")):
        for group in json.loads(file.read_text("utf-8")):
            taken = walker.taken(group["schema"], [test["data"] for test in group["tests"]])
            if taken is None:
                refused += 1
                continue
            enforced += 1
            wrong += [
                (file.name, group["description"], test["description"])
                for test, got in zip(group["tests"], taken, strict=True)
                if got != test["valid"]
            ]
    print(f"enforced {enforced}, refused {refused}, wrong {len(wrong)}")
    assert not wrong
    assert enforced >= ENFORCED_MIN


INTEGERS = [*range(-130, 131), 1499, 1500, 1501, -2000, 99999, 1.5, "1", None]


@pytest.mark.parametrize(
    "bounds",
    [
        {"minimum": 0},
        {"maximum": -1},
        {"minimum": -7, "maximum": 120},
        {"exclusiveMinimum": 9, "exclusiveMaximum": 101},
        {"minimum": 5, "exclusiveMinimum": 5},
        {"minimum": 1500},
        {"maximum": 1500, "minimum": -2000},
        {"minimum": 99, "maximum": 99},
    ],
)
def test_bounds_of_integers(walker, bounds):
    schema = {"type": "integer", **bounds}
    judge = jsonschema.Draft202012Validator(schema)
    assert walker.taken(schema, INTEGERS) == [judge.is_valid(value) for value in INTEGERS]


TEXTS = ["", "a", "ab", "abc", "é", "日本", "😀", "x" * 11, "/", "ab12", "12", "A-1", "a.b", "_", "]"]


@pytest.mark.parametrize(
    "bounds",
    [
        {"minLength": 1},
        {"maxLength": 2},
        {"minLength": 2, "maxLength": 3},
        {"maxLength": 0},
        *(
            {"pattern": pattern}
            for pattern in (
                "^a+$", "^[a-z]{2,3}$", r"^\d+$", "^.*$", "^[^b]*$", "^(a|b)c?$",
                "^[A-Z]-[0-9]$", "^a.b$", r"^a\.b$", "^/$", "^é$", "^.{2}$", r"^[a\]]+$",
            )
        ),
    ],
)  # fmt: skip
def test_bounds_of_texts(walker, bounds):
    schema = {"type": "string", **bounds}
    judge = jsonschema.Draft202012Validator(schema)
    assert walker.taken(schema, TEXTS) == [judge.is_valid(value) for value in TEXTS]


UNENFORCED = ["a", "^a", r"^\s$", r"^\S$", "^a|b$", r"^(?=a)$", r"^\bx$", "^a^$"]


@pytest.mark.parametrize("pattern", UNENFORCED)
def test_patterns_that_are_not_enforced_are_refused(walker, pattern):
    assert walker.taken({"type": "string", "pattern": pattern}, ["a"]) is None
