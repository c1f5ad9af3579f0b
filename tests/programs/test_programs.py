"""What ctest and the fuzzers found in this run of ./dev test, one test for each of theirs.

The programs ran before pytest; counting them here makes one closing line for everything.
"""

import json
import os
import pathlib
import xml.etree.ElementTree

import pytest

RESULTS = pathlib.Path(os.environ.get("DEEPSEEK_TEST_RESULTS", "/nonexistent"))


def _units():
    for file in sorted(RESULTS.glob("*.xml")):
        for case in xml.etree.ElementTree.parse(file).getroot().iter("testcase"):
            yield f"{file.stem}: {case.get('name')}", case


def _fuzzers():
    file = RESULTS / "fuzz.json"
    return json.loads(file.read_text("utf-8")).items() if file.exists() else ()


UNITS = dict(_units())
FUZZERS = dict(_fuzzers())


# What did not run in this call of ./dev test is no test of it.
if UNITS:

    @pytest.mark.parametrize("name", UNITS)
    def test_unit(name):
        case = UNITS[name]
        output = case.findtext("system-out") or ""
        assert case.get("status") == "run", f"{name} failed\n{output[-4000:]}"


if FUZZERS:

    @pytest.mark.parametrize("name", FUZZERS)
    def test_fuzzer(name):
        assert FUZZERS[name]["ok"], FUZZERS[name]["tail"]
