"""Files, functions and lines stay small."""

import ast
import re
import warnings

from tidy import tree

FILE_LINES_MAX = 800
FILE_LINES_TARGET = 400
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
FOLDERS = ("src", "proto", "python", "tests", "cmake", "tools", "bench")
SUFFIXES = (".cpp", ".hpp", ".h", ".py", ".proto", ".cmake", "CMakeLists.txt")
_NOT_FUNCTIONS = re.compile(
    r"(^|[;{}\s])(namespace|class|struct|enum|union|extern)\b[^;(]*$|=\s*$|^\s*$")


def test_files_are_short():
    wrong = []
    for path in tree.files(FOLDERS, SUFFIXES):
        lines = tree.text(path).count("\n")
        if lines > FILE_LINES_MAX:
            wrong.append(f"{path}: {lines} lines, at most {FILE_LINES_MAX}: split it by ideas")
        elif lines > FILE_LINES_TARGET:
            warnings.warn(f"{path}: {lines} lines, the target is {FILE_LINES_TARGET}",
                          stacklevel=1)
    tree.complain(wrong)


def test_lines_are_short():
    wrong = []
    for path in tree.files(FOLDERS, SUFFIXES):
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            if len(line) > COLUMNS_MAX:
                wrong.append(f"{path}:{number}: {len(line)} columns, at most {COLUMNS_MAX}")
    tree.complain(wrong)


def test_cpp_functions_are_short():
    wrong = []
    for path in tree.files(("src", "tests"), (".cpp", ".hpp")):
        for first, last in _functions(tree.code(path)):
            if last - first + 1 > FUNCTION_LINES_MAX:
                wrong.append(f"{path}:{first}: a function of {last - first + 1} lines, "
                             f"at most {FUNCTION_LINES_MAX}")
    tree.complain(wrong)


def test_python_functions_are_short():
    wrong = []
    for path in tree.files(FOLDERS, (".py",)):
        for node in ast.walk(ast.parse(tree.text(path))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = node.end_lineno - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    wrong.append(f"{path}:{node.lineno}: {node.name} has {lines} lines, "
                                 f"at most {FUNCTION_LINES_MAX}")
    tree.complain(wrong)


def _functions(code):
    """First and last line of every outermost function body: a block that a parameter list opens."""
    depth_of_function, depth, start, head = None, 0, 0, 0
    for match in re.finditer(r"[{};]", code):
        mark = match[0]
        if mark == "{":
            before = code[head:match.start()]
            if depth_of_function is None and ")" in before and not _NOT_FUNCTIONS.search(before):
                depth_of_function = depth
                start = head + len(before) - len(before.lstrip())
            depth += 1
        elif mark == "}":
            depth -= 1
            if depth_of_function == depth:
                depth_of_function = None
                yield tree.line_of(code, start), tree.line_of(code, match.start())
        head = match.end()
