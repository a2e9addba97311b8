"""Every table, read by every engine: rows, time travel, predicates, pruning."""

import pytest
from expected import differ, same_rows

PARTITIONED = ["by_day", "by_hour", "by_bucket", "by_truncate", "by_region", "by_month", "by_many", "objects_metadata", "objects_binary"]
PLAIN = ["flat_json", "flat_csv", "nested", "evolving", "decided", "many_commits", "cloudtrail"]
REPLACED = ["replaced", "replaced_flat"]

# Files an engine read for a predicate on a partitioned table: the next engine must need the very same number.
READ = {}


def kinds_of(expectation):
    return {column["name"]: column["type"] for column in expectation["columns"]}


@pytest.mark.parametrize("table", PLAIN + PARTITIONED + REPLACED)
def test_moraines_own_checker_finds_nothing(world, table):
    assert world.expect(table)["findings"] == []


@pytest.mark.parametrize("table", PLAIN + PARTITIONED)
def test_every_row_is_there_and_equal(world, engine, limit, table):
    expectation = world.expect(table)
    assert len(expectation["rows"]) > 0
    for blur in same_rows(engine, expectation, engine.rows(table)):
        limit(engine, blur)


@pytest.mark.parametrize("table", ["evolving", "decided", "many_commits", "by_day"])
def test_a_snapshot_shows_the_rows_and_columns_of_its_time(world, engine, table):
    snapshots = world.expect(table)["snapshots"]
    assert len(snapshots) >= 3
    for snapshot in [*snapshots[:3], snapshots[-1]]:
        same_rows(engine, snapshot, engine.rows(table, snapshot["snapshotId"]))


@pytest.mark.parametrize("table", PLAIN + PARTITIONED)
def test_a_predicate_gives_the_rows_that_satisfy_it_and_skips_files(world, engine, limit, table):
    expectation = world.expect(table)
    files = engine.files(table)
    assert expectation["predicates"]
    for predicate in expectation["predicates"]:
        where = predicate["where"]
        rows, read = engine.select(table, where, kinds_of(expectation))
        gap = engine.pruning_gap(table, where)
        if gap:
            assert read == files or differ(expectation, rows, predicate["rows"]), f"no longer true: {gap}"
            limit(engine, gap)
            continue
        same_rows(engine, expectation, rows, predicate["rows"])
        assert 0 < read <= files
        if table in PARTITIONED:
            assert read < files, f"{where} read all files"
            assert read == READ.setdefault((table, str(where)), read), "engines disagree on the files of a predicate"
