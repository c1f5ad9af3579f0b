"""Entry of ./dev: reads the command line and runs one command as numbered steps."""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True

import build  # noqa: E402
import checks  # noqa: E402
import download  # noqa: E402
import fuzz  # noqa: E402
import host  # noqa: E402
import llama  # noqa: E402
import package  # noqa: E402
import style  # noqa: E402
from steps import ROOT, Failure, Steps, run, say  # noqa: E402

_HELP = """usage: ./dev COMMAND

  serve [-- ARGUMENTS]    build `release` and start the server with the small model
  build [PRESET] [-- -DNAME=VALUE...]
                          build dev (default), release or tsan under build/PRESET
  test [--fast] [--slow] [--filter REGEX] [--list]
                          build and run the tests
  fmt                     format the C++ files
  tidy                    the tidy tests, and clang-tidy on what changed
  bench [NAME] [-- ARGUMENTS]
                          run bench/NAME.py beside its peers; default: smoke
  sim SEED [--count N]    simulate the runs of this seed, or of N from it on
  fuzz [TARGET] [--seconds N]
                          run the fuzzers (default: all, 60 s)
  package                 make dist/deepseek-server-VERSION-linux-ARCHITECTURE.tar.gz
  clean                   remove build/ and dist/; the cache stays
  help                    print this

Slow things are kept in ${DEEPSEEK_CACHE:-~/.cache/deepseek-server}. docs/HACKING.md says more.
"""


def serve(arguments, rest):
    argparse.ArgumentParser(prog="./dev serve").parse_args(arguments)
    steps = Steps(["Debian packages", "build release", "start the server"])
    with steps.step("Debian packages"):
        host.install_packages()
    with steps.step("build release"):
        programs = build.build("release", targets=_programs())
    with steps.step("start the server"):
        command = [str(programs / "deepseek-server")]
        if not any(word.split("=")[0] == "--config" for word in rest):
            command += ["--config", "config/dev.yaml"]
        os.chdir(ROOT)
        sys.stdout.flush()
        os.execv(command[0], [*command, *rest])


def _programs():
    rooms = {"deepseek-server": "server", "deepseek-engine": "engine", "deepseek": "cli"}
    return [name for name, room in rooms.items() if (ROOT / "src" / room / "main.cpp").exists()]


def build_command(arguments, rest):
    parser = argparse.ArgumentParser(prog="./dev build")
    parser.add_argument("preset", nargs="?", default="dev", choices=build.PRESETS)
    preset = parser.parse_args(arguments).preset
    steps = Steps(["Debian packages", f"build {preset}"])
    with steps.step("Debian packages"):
        host.install_packages()
    with steps.step(f"build {preset}"):
        programs = build.build(preset, rest)
    say(f"the programs are in {programs.relative_to(ROOT)}")
    steps.finished()


def test(arguments, _):
    parser = argparse.ArgumentParser(prog="./dev test")
    parser.add_argument("--fast", action="store_true", help="unit tests and tidy; under a minute")
    parser.add_argument("--slow", action="store_true", help="everything, soaks included")
    parser.add_argument("--filter", metavar="REGEX", help="only tests whose name matches")
    parser.add_argument("--list", action="store_true", help="name the tests and run none")
    options = parser.parse_args(arguments)
    return checks.run(options, Steps(checks.plan(options)))


def fmt(arguments, _):
    argparse.ArgumentParser(prog="./dev fmt").parse_args(arguments)
    host.install_packages()
    say(f"formatted {style.format_all()} files")


def tidy(arguments, _):
    parser = argparse.ArgumentParser(prog="./dev tidy")
    parser.add_argument("--all", action="store_true", help="clang-tidy on every file")
    options = parser.parse_args(arguments)
    steps = Steps(["Debian packages", "Python environment", "build dev", "clang-tidy",
                   "tidy tests"])
    with steps.step("Debian packages"):
        host.install_packages()
    with steps.step("Python environment"):
        python = host.python_environment(ROOT / "tests/requirements.txt")
    with steps.step("build dev"):
        build.build("dev", targets=["deepseek_proto"])
    with steps.step("clang-tidy"):
        style.clang_tidy(options.all)
    with steps.step("tidy tests"):
        return subprocess.run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                               "tests/tidy"], cwd=ROOT, env=build.test_environment("dev"),
                              check=False).returncode


def bench(arguments, rest):
    names = sorted(path.stem for path in (ROOT / "bench").glob("*.py")
                   if not path.stem.endswith("_support"))
    parser = argparse.ArgumentParser(prog="./dev bench")
    parser.add_argument("name", nargs="?", default="smoke", choices=names)
    name = parser.parse_args(arguments).name
    beside_llama = name in ("smoke", "engine", "layouts")
    steps = Steps(["Debian packages", "Python environment", "build release",
                   *(["build llama-server"] if beside_llama else []), f"bench {name}"])
    with steps.step("Debian packages"):
        host.install_packages()
    with steps.step("Python environment"):
        python = host.python_environment(ROOT / "tests/requirements.txt")
    with steps.step("build release"):
        own = {"gateway": ["gateway_load", "gateway_upstream"],
               "engine": ["scheduler_steps", "window_perplexity"],
               "api": ["mask_times"]}.get(name, [])
        programs = build.build("release", targets=[*_programs(), *own])
    if beside_llama:
        with steps.step("build llama-server"):
            peer = llama.prefix(programs=True) / "bin"
        rest = ["--llama-server", str(peer / "llama-server"), *rest]
    with steps.step(f"bench {name}"):
        environment = {**os.environ, "DEEPSEEK_BIN": str(programs),
                       "DEEPSEEK_TEST_MODEL": str(download.default_model()),
                       "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run([str(python), str(ROOT / "bench" / f"{name}.py"), *rest], cwd=ROOT,
                              env=environment, check=False).returncode


def sim(arguments, _):
    parser = argparse.ArgumentParser(prog="./dev sim")
    parser.add_argument("seed", type=int)
    parser.add_argument("--count", type=int, default=1, help="so many seeds, from SEED on")
    options = parser.parse_args(arguments)
    steps = Steps(["Debian packages", "build dev", "simulate"])
    with steps.step("Debian packages"):
        host.install_packages()
    with steps.step("build dev"):
        programs = build.build("dev", targets=["simulations"])
    with steps.step("simulate"):
        for program in sorted(programs.glob("*_sim")):
            run([program, options.seed, options.count],
                "the seed above fails again: ./dev sim SEED",
                f"{program.name}: a promise was broken; the seed is above")


def fuzz_command(arguments, _):
    parser = argparse.ArgumentParser(prog="./dev fuzz")
    parser.add_argument("target", nargs="?", choices=fuzz.targets() or None)
    parser.add_argument("--seconds", type=int, default=checks.FUZZ_SECONDS)
    options = parser.parse_args(arguments)
    steps = Steps(["Debian packages", "build fuzz", f"fuzz for {options.seconds} s"])
    with steps.step("Debian packages"):
        host.install_packages()
    with steps.step("build fuzz"):
        build.build("fuzz")
    with steps.step(f"fuzz for {options.seconds} s"):
        fuzz.run_all([options.target] if options.target else fuzz.targets(), options.seconds)


def package_command(arguments, _):
    argparse.ArgumentParser(prog="./dev package").parse_args(arguments)
    steps = Steps(["Debian packages", "build package", "collect the files", "try the package"])
    with steps.step("Debian packages"):
        host.install_packages()
    with steps.step("build package"):
        build.build("package", targets=_programs())
    with steps.step("collect the files"):
        archive = package.make()
    with steps.step("try the package"):
        package.try_it(archive)
    say(f"made {archive.relative_to(ROOT)}, {archive.stat().st_size / 1e6:.0f} MB")


def clean(arguments, _):
    argparse.ArgumentParser(prog="./dev clean").parse_args(arguments)
    for name in ("build", "dist"):
        shutil.rmtree(ROOT / name, ignore_errors=True)
    say("removed build/ and dist/; the cache stays")


_COMMANDS = {"serve": serve, "build": build_command, "test": test, "fmt": fmt, "tidy": tidy,
             "bench": bench, "sim": sim, "fuzz": fuzz_command, "package": package_command,
             "clean": clean}


def main(words):
    if not words or words[0] in ("help", "--help", "-h"):
        print(_HELP, end="")
        return 0
    if words[0] not in _COMMANDS:
        print(f"./dev: no command {words[0]!r}\n\n{_HELP}", end="", file=sys.stderr)
        return 2
    arguments, rest = words[1:], []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, rest = arguments[:at], arguments[at + 1:]
    try:
        return _COMMANDS[words[0]](arguments, rest) or 0
    except Failure as failure:
        say(f"FAILED: {failure.cause}")
        say(f"   fix: {failure.fix}")
        return failure.code
    except KeyboardInterrupt:
        say("stopped")
        return 130


if __name__ == "__main__":
    os.environ.setdefault("HOME", str(pathlib.Path("~").expanduser()))
    sys.exit(main(sys.argv[1:]))
