"""`./dev test`: unit tests by ctest, fuzzers, and the Python suites; one closing line for all.

ctest and the fuzzers write their results to files, and tests/programs turns each into one test of
pytest: its closing line counts everything.
"""

import json
import os
import re
import subprocess

import build
import download
import fuzz
import host
import llama
from steps import ROOT, Failure, lock

_REQUIREMENTS = ROOT / "tests/requirements.txt"
_RACES_OF_OTHERS = ROOT / "cmake/thread_sanitizer.supp"
FUZZ_SECONDS = 60


def plan(options):
    """Names of the steps that these options need."""
    names = ["Debian packages", "Python environment", "build dev"]
    if options.list:
        return [*names, "list the tests"]
    names.append("unit tests")
    if options.slow:
        names += ["build tsan", "unit tests under ThreadSanitizer"]
    if fuzzes(options):
        names += ["build fuzz", f"fuzz for {FUZZ_SECONDS} s"]
    if is_whole(options):
        names.append("build llama-server")
    return [*names, "Python tests"]


def is_whole(options):
    return not options.fast and not options.filter and not options.list


def fuzzes(options):
    return is_whole(options) and bool(fuzz.targets())


def run(options, steps):
    with steps.step("Debian packages"):
        host.install_packages()
    with steps.step("Python environment"):
        python = host.python_environment(_REQUIREMENTS)
    with steps.step("build dev"):
        build.build("dev")
    if options.list:
        with steps.step("list the tests"):
            return _list(python)
    results = ROOT / "build/results"
    results.mkdir(exist_ok=True)
    for old in results.iterdir():
        old.unlink()
    with steps.step("unit tests"):
        _ctest("dev", options, results / "unit.xml")
    if options.slow:
        with steps.step("build tsan"):
            build.build("tsan")
        with steps.step("unit tests under ThreadSanitizer"):
            _ctest("tsan", options, results / "tsan.xml")
    if fuzzes(options):
        with steps.step("build fuzz"):
            build.build("fuzz")
        with steps.step(f"fuzz for {FUZZ_SECONDS} s"):
            fuzz.run_all(fuzz.targets(), FUZZ_SECONDS, results / "fuzz.json")
    peers = {"DEEPSEEK_SCHEMA_SUITE": str(download.schema_suite()),
             "DEEPSEEK_CHAT_TEMPLATES": str(download.llama_source() / "models/templates")}
    if is_whole(options):
        # A real peer of the gateway's tests.
        with steps.step("build llama-server"):
            peers["DEEPSEEK_LLAMA_SERVER"] = str(llama.prefix(programs=True) / "bin/llama-server")
    with steps.step("Python tests"):
        return _pytest(python, options, results, peers)


def _ctest(preset, options, results):
    command = ["ctest", "--test-dir", build.folder(preset), "-j", str(os.cpu_count() or 1),
               "--output-on-failure", "--output-junit", results]
    if options.fast:
        command += ["-L", "fast"]
    if options.filter:
        command += ["-R", options.filter]
    environment = {**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1",
                   "TSAN_OPTIONS": f"halt_on_error=1:suppressions={_RACES_OF_OTHERS}"}
    with lock(ROOT / "build" / f"{preset}.lock", f"build/{preset}"):
        subprocess.run(command, cwd=ROOT, env=environment, check=False)


def _pytest(python, options, results, peers):
    marks = {"fast": "not slow and not e2e", "slow": ""}
    chosen = "fast" if options.fast else "slow" if options.slow else "usual"
    mark = marks.get(chosen, "not slow")
    command = [python, "-m", "pytest", "tests", "-q", "--durations=5", "-p", "no:cacheprovider"]
    if mark:
        command += ["-m", mark]
    if options.filter:
        command += ["-k", _keyword(options.filter)]
    environment = {**build.test_environment("dev"), **peers,
                   "DEEPSEEK_TEST_RESULTS": str(results), "PYTHONDONTWRITEBYTECODE": "1"}
    code = subprocess.run([str(part) for part in command], cwd=ROOT, env=environment,
                          check=False).returncode
    if code == 5 and options.filter and any(results.iterdir()):
        return _failed_units(results)
    return code


def _keyword(pattern):
    """pytest's -k takes words, not expressions: alternatives become `or`."""
    words = [word for word in re.split(r"\W+", pattern) if word]
    if not words:
        raise Failure(f"--filter {pattern} holds no word", "use part of a test's name")
    return " or ".join(words)


def _failed_units(results):
    unit = results / "unit.xml"
    text = unit.read_text("utf-8") if unit.exists() else ""
    return 1 if re.search(r'failures="[1-9]', text) else 0


def _list(python):
    listed = subprocess.run(["ctest", "--test-dir", build.folder("dev"), "--show-only=json-v1"],
                            capture_output=True, text=True, check=True)
    for test in json.loads(listed.stdout)["tests"]:
        print(f"unit: {test['name']}")
    for name in fuzz.targets():
        print(f"fuzz: {name}")
    return subprocess.run([python, "-m", "pytest", "tests", "-q", "--collect-only", "-p",
                           "no:cacheprovider"], cwd=ROOT, env=build.test_environment("dev"),
                          check=False).returncode
