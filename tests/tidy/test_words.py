"""Words that we do not use, each with what to use instead."""

import re

import pytest

from tidy import tree

# name: pattern in code, files that may use it, what to do instead.
BANNED = {
    "co_spawn": (r"\bco_spawn\b", r"^src/io/task_group\.cpp$", "spawn on an io::TaskGroup"),
    "detached": (r"\bdetached\b", r"^$", "spawn on an io::TaskGroup, which stops and waits"),
    "std::cout": (r"\bstd::cout\b", r"(main|command_line)[^/]*\.cpp$|^src/cli/|_fuzz\.cpp$",
                  "log with base/log.hpp"),
    "sleep": (r"\b(sleep_for|sleep_until|usleep|nanosleep)\b", r"^src/base/clock|^$",
              "wait for the event, or take a clock as a parameter"),
    "namespace std": (r"\busing\s+namespace\s+std\s*;", r"^$", "write std::"),
    "rand": (r"(?<![\w:.>])s?rand\s*\(", r"^$", "take a seeded generator as a parameter"),
    "C strings": (r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof)\s*\(", r"^$",
                  "std::string, std::format or std::from_chars"),
    "volatile": (r"\bvolatile\b", r"main\.cpp$|signal", "std::atomic"),
    "abort": (r"\babort\s*\(\s*\)", r"_test\.cpp$|_fuzz\.cpp$|^src/(base|engine/llama)/",
              "return an Error, or assert"),
}


@pytest.mark.parametrize("name", BANNED)
def test_banned(name):
    pattern, exempt, instead = BANNED[name]
    wrong = []
    for path in tree.files(("src", "tests"), (".cpp", ".hpp")):
        if re.search(exempt, path.as_posix()):
            continue
        code = tree.code(path)
        for match in re.finditer(pattern, code):
            line = tree.line_of(code, match.start())
            wrong.append(f"{path}:{line}: {match[0].strip()}: {instead}")
    tree.complain(wrong)


def test_python_tests_do_not_sleep():
    wrong = [f"{path}: time.sleep: wait for the event" for path in tree.files(("tests",), (".py",))
             if re.search(r"\btime\.sleep\(", tree.text(path))
             and path.name not in ("test_words.py", "waiting.py")]
    tree.complain(wrong)


def test_every_todo_has_a_kind():
    wrong = []
    for path in tree.files(("src", "tests", "tools", "bench", "proto", "cmake"),
                           (".cpp", ".hpp", ".py", ".proto", ".cmake")):
        if path.parts[:2] == ("tests", "tidy"):
            continue
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            if re.search(r"\b(TODO|FIXME|XXX)\b(?!\((perf|security|cleanup)\): )", line):
                wrong.append(f"{path}:{number}: write TODO(perf|security|cleanup): what to do")
    tree.complain(wrong)


def test_no_paths_of_one_machine():
    pattern = re.compile(r"(?<![\w$}])/(work|root|home/\w+)/\w|\b(pypi\.org|pythonhosted|npmjs\.)")
    wrong = []
    for path in tree.tracked():
        if path.parts[:2] == ("tests", "tidy") or path.suffix in (".gguf", ".png", ".bin"):
            continue
        if "corpus" in path.parts:
            continue
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            if pattern.search(line):
                wrong.append(f"{path}:{number}: a path or host of one machine: {line.strip()[:80]}")
    tree.complain(wrong)
