"""Rooms explain themselves, nothing is dead, and the format is clang-format's."""

import re
import subprocess

from tidy import tree


def _rooms():
    return sorted({path.parts[1] for path in tree.files(("src",), (".cpp", ".hpp"))})


def test_every_room_has_a_readme():
    wrong = []
    for room in _rooms():
        readme = tree.ROOT / "src" / room / "README.md"
        text = readme.read_text("utf-8") if readme.exists() else ""
        for question in ("Why it exists", "What belongs here"):
            if question not in text:
                wrong.append(f"src/{room}/README.md: say `{question}`")
    tree.complain(wrong)


def test_headers_open_with_a_comment():
    wrong = []
    for path in tree.files(("src",), (".hpp",)):
        if not re.match(r"(//|/\*|#pragma once\s+//)", tree.text(path)):
            wrong.append(f"{path}: begin with what it is, who owns it, on which thread it lives")
    tree.complain(wrong)


def test_no_dead_headers():
    used = {name for path in tree.files(("src", "tests"), (".cpp", ".hpp"))
            for _, name in tree.includes(path)}
    wrong = [f"{path}: nobody includes it" for path in tree.files(("src",), (".hpp",))
             if path.relative_to("src").as_posix() not in used
             and not any(name.endswith(path.name) for name in used)]
    tree.complain(wrong)


def test_every_room_is_built():
    listed = (tree.ROOT / "src/CMakeLists.txt").read_text("utf-8")
    wrong = [f"src/{room}: not in src/CMakeLists.txt" for room in _rooms()
             if not re.search(rf"\b{room}\b", listed)]
    tree.complain(wrong)


def test_format():
    files = [str(path) for path in tree.files(("src", "tests"), (".cpp", ".hpp"))]
    done = subprocess.run(["clang-format-19", "--dry-run", "-Werror", *files], cwd=tree.ROOT,
                          capture_output=True, text=True, check=False)
    bad = sorted({line.split(":")[0] for line in done.stderr.splitlines() if ": error:" in line})
    assert done.returncode == 0, "run ./dev fmt for:\n" + "\n".join(bad)
