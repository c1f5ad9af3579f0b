"""The files that tidy looks at, and a view of C++ without comments and literals."""

import functools
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
_LITERAL = re.compile(
    r'R"(?P<tag>[^()\\\s]{0,16})\(.*?\)(?P=tag)"'
    r'|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Fa-f])\'(?:\\.|[^\'\\\n])+\'',
    re.DOTALL)


@functools.cache
def tracked():
    """Every file that git knows or would add, relative to the root."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True, check=True).stdout
    return [pathlib.Path(name) for name in sorted(listed.splitlines())
            if (ROOT / name).is_file()]


def files(folders, suffixes):
    """Tracked files in these top folders with these suffixes or names."""
    return [path for path in tracked()
            if path.parts[0] in folders
            and (path.suffix in suffixes or path.name in suffixes)]


@functools.cache
def text(path):
    return (ROOT / path).read_text("utf-8", "replace")


@functools.cache
def code(path):
    """The C++ text with comments and literals blanked; lines keep their numbers."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match[0])

    return _LITERAL.sub(blank, text(path))


@functools.cache
def includes(path):
    """Pairs of line number and included name."""
    found = re.finditer(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', text(path), re.MULTILINE)
    return [(line_of(text(path), match.start()), match[1]) for match in found]


def line_of(content, offset):
    return content.count("\n", 0, offset) + 1


def complain(wrong):
    assert not wrong, "\n" + "\n".join(wrong)
