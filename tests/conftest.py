"""Collects scenario files and lends running servers to tests.

`server` is one server for the whole run: only for tests that leave it as they found it. Who kills,
reloads or fills a server starts its own with `start_server`.
"""

import contextlib

import pytest

from support import gateway, scenario
from support.engines import HeldEngine
from support.server import Server
from support.upstream import Upstream


class ServerPool:
    """At most two servers at a time: the common one, and the one of the current scenario file."""

    def __init__(self):
        self._stack = contextlib.ExitStack()
        self._common = None
        self._own = None
        self._own_key = None

    def common(self):
        if self._common is None or self._common.process.poll() is not None:
            self._common = Server()
        return self._common

    def for_file(self, path, file):
        if not file.own:
            return self.common()
        if self._own_key != path:
            self._stop_own()
            self._own_key = path
            if file.held:
                held = self._stack.enter_context(HeldEngine())
                settings = {"engine.program": held.program}
                self._own = Server(file.arguments, settings, wait="listening")
            else:
                self._own = Server(file.arguments)
        return self._own

    def _stop_own(self):
        if self._own is not None:
            own, self._own, self._own_key = self._own, None, None
            own.stop()
        self._stack.close()

    def close(self):
        self._stop_own()
        if self._common is not None:
            code = self._common.stop()
            assert code == 0, f"the common server ended with {code}\n{self._common.log_text()}"


_POOL = pytest.StashKey[ServerPool]()


def pytest_configure(config):
    config.stash[_POOL] = ServerPool()


def pytest_collection_modifyitems(items):
    for item in items:
        folder = item.path.parent.name
        if folder in ("e2e", "scenarios", "chaos"):
            item.add_marker("e2e")


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session):
    try:
        return (yield)
    finally:
        pool = session.config.stash[_POOL]
        try:
            pool.close()
        except AssertionError as error:
            session.exitstatus = 1
            print(f"\nERROR: {error}")


def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".txt" and file_path.parent.name == "scenarios":
        return ScenarioCollector.from_parent(parent, path=file_path)
    return None


class ScenarioCollector(pytest.File):
    def collect(self):
        try:
            file = scenario.read_file(self.path.name, self.path.read_text("utf-8"))
        except scenario.ScenarioError as error:
            raise self.CollectError(str(error)) from None
        for one in file.scenarios:
            yield ScenarioItem.from_parent(self, name=one.name, file=file, scenario=one)


class ScenarioFailure(Exception):
    pass


class ScenarioItem(pytest.Item):
    def __init__(self, *, file, scenario, **rest):
        super().__init__(**rest)
        self.file = file
        self.scenario = scenario

    def runtest(self):
        server = self.config.stash[_POOL].for_file(self.path, self.file)
        wrong = scenario.play(self.scenario, server)
        if wrong:
            raise ScenarioFailure(wrong)

    def repr_failure(self, excinfo):
        if isinstance(excinfo.value, ScenarioFailure):
            return f"{self.path.name}, scenario {self.scenario.name!r}, {excinfo.value}"
        return super().repr_failure(excinfo)

    def reportinfo(self):
        return self.path, self.scenario.line - 1, f"{self.path.name}: {self.name}"


@pytest.fixture(scope="session")
def server(request):
    return request.config.stash[_POOL].common()


@pytest.fixture
def start_server():
    """Starts servers of the test's own; they are stopped after it, in reverse order."""
    with contextlib.ExitStack() as stack:

        def start(*arguments, **options):
            started = Server(arguments, **options)
            stack.callback(started.kill)
            return started

        yield start


@pytest.fixture
def start_upstream():
    """Starts scripted upstreams; they are stopped after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda *arguments, **options: stack.enter_context(Upstream(*arguments, **options))


@pytest.fixture
def start_gateway(start_server, tmp_path):
    """Starts a server with these backends and without a local model."""

    def start(backends, routes=None, environment=None, **sections):
        file = gateway.configuration(tmp_path, backends, routes, **sections)
        return start_server("--config", file, wait="listening", extra_environment=environment)

    return start


@pytest.fixture
def pair(start_upstream):
    """Two upstreams; tests make the first one misbehave."""
    return start_upstream("first"), start_upstream("second")


@pytest.fixture
def relay(pair, start_gateway):
    """A server that asks the first of the pair, then the second."""
    return start_gateway([gateway.backend(one.name, one.url) for one in pair])
