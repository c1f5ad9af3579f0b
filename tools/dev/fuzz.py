"""Runs the libFuzzer targets of tests/fuzz, side by side, for a time shared by all."""

import json
import os
import pathlib
import subprocess

import build
from steps import ROOT, Failure, say


def targets():
    return sorted(path.stem.removesuffix("_fuzz")
                  for path in (ROOT / "tests/fuzz").glob("*_fuzz.cpp"))


def run_all(names, seconds, results=None):
    """Every target runs `seconds`; what they find lies under build/fuzz/findings."""
    programs = build.folder("fuzz") / "bin"
    running = {name: _start(programs / f"{name}_fuzz", name, seconds) for name in names}
    outcome = {}
    for name, (process, log) in running.items():
        code = process.wait()
        text = log.read_text("utf-8", "replace")
        runs = [line for line in text.splitlines() if line.startswith("Done ")]
        outcome[name] = {"ok": code == 0, "tail": "\n".join(text.splitlines()[-60:])}
        say(f"      {name}: {runs[-1] if runs else f'ended with {code}'}")
    if results:
        results.write_text(json.dumps(outcome), "utf-8")
        return
    for name, one in outcome.items():
        if not one["ok"]:
            print(one["tail"])
            raise Failure(f"the fuzzer {name} found something; its input is under "
                          "build/fuzz/findings",
                          f"build/fuzz/bin/{name}_fuzz FILE replays it; keep the input in "
                          f"tests/fuzz/corpus/{name}/ and correct the code")


def _start(program, name, seconds):
    if not program.exists():
        raise Failure(f"there is no fuzz target {name}",
                      f"the targets are: {', '.join(targets())}")
    folder = build.folder("fuzz")
    grown = folder / "corpus" / name
    findings = folder / "findings" / name
    for made in (grown, findings):
        made.mkdir(parents=True, exist_ok=True)
    corpus = ROOT / "tests/fuzz/corpus" / name
    log = findings / "log"
    command = [program, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
               f"-artifact_prefix={findings}/", grown]
    if pathlib.Path(corpus).is_dir():
        command.append(corpus)
    dictionary = ROOT / "tests/fuzz" / f"{name}.dict"
    if dictionary.exists():
        command.insert(1, f"-dict={dictionary}")
    environment = {**os.environ, "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
    with open(log, "w", encoding="utf-8") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT,
                                env=environment), log
