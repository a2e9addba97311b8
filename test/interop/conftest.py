"""Starts the writing side and the engines once, and prints at the end what each engine cannot do."""

import glob
import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from engines import ClickHouse, PyIceberg, Spark

HERE = Path(__file__).parent
LIMITS = {}


class World:
    """Moraine in a process of its own: told the name of a table, it writes on and says what readers must see."""

    def __init__(self):
        command = [os.environ.get("NODE", "node"), str(HERE / "write-tables.ts")]
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, encoding="utf-8"
        )
        self.places = self.answer()
        self.told = {}

    def step(self, table):
        self.process.stdin.write(f"{table}\n")
        self.process.stdin.flush()
        self.told[table] = self.answer()
        return self.expect(table)

    def expect(self, table):
        """As of the last step; the first one is made by whoever asks first."""
        told = self.told.get(table) or self.step(table)
        if "absent" in told:
            pytest.skip(told["absent"])
        return told

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise RuntimeError(f"write-tables.ts ended: {self.errors.read()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)


@pytest.fixture(scope="session")
def world():
    world = World()
    yield world
    world.close()


@pytest.fixture(scope="session")
def spark(world):
    spark = Spark(world.places, glob.glob(os.environ["INTEROP_JARS"] + "/*.jar"))
    yield spark
    spark.session.stop()


@pytest.fixture(scope="session")
def pyiceberg(world):
    return PyIceberg(world.places)


@pytest.fixture(scope="session")
def clickhouse(world):
    return ClickHouse(world.places)


@pytest.fixture(params=["pyiceberg", "clickhouse", "spark"])
def engine(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def limit():
    """`limit(engine, what)`: something the engine cannot do, which the test has just shown."""

    def note(engine, what):
        LIMITS[f"{engine.name}: {what}"] = None

    return note


def pytest_terminal_summary(terminalreporter):
    if LIMITS:
        terminalreporter.section("limits of other engines, as shown by this run")
        for text in sorted(LIMITS):
            terminalreporter.write_line(text)
    count = lambda *outcomes: sum(len(terminalreporter.getreports(outcome)) for outcome in outcomes)
    counts = f"{count('passed')} passed, {count('failed', 'error')} failed, {count('xfailed')} known defects, {count('xpassed')} mended"
    terminalreporter.write_line(f"interop: {counts}, {count('skipped')} skipped")
