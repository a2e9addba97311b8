"""Replaced files: Moraine deletes the old rows by equality on `_file_path`, in one snapshot with the new ones."""

import pytest
from expected import differ, same_rows


@pytest.mark.parametrize("table", ["replaced", "replaced_flat"])
def test_spark_shows_the_new_rows_only_at_every_snapshot(world, spark, table):
    expectation = world.expect(table)
    same_rows(spark, expectation, spark.rows(table))
    for snapshot in expectation["snapshots"]:
        same_rows(spark, snapshot, spark.rows(table, snapshot["snapshotId"]))
    for predicate in expectation["predicates"]:
        kinds = {column["name"]: column["type"] for column in expectation["columns"]}
        rows, _ = spark.select(table, predicate["where"], kinds)
        same_rows(spark, expectation, rows, predicate["rows"])


def test_clickhouse_shows_the_new_rows_only_of_a_table_without_partitions(world, clickhouse):
    expectation = world.expect("replaced_flat")
    same_rows(clickhouse, expectation, clickhouse.rows("replaced_flat"))
    for snapshot in expectation["snapshots"]:
        same_rows(clickhouse, snapshot, clickhouse.rows("replaced_flat", snapshot["snapshotId"]))


def test_clickhouse_does_not_see_global_deletes_in_a_table_with_partitions(world, clickhouse, limit):
    expectation = world.expect("replaced")
    rows = clickhouse.rows("replaced")
    assert differ(expectation, rows, expectation["rows"]) and len(rows) > len(expectation["rows"]), "no longer true"
    limit(clickhouse, "WRONG ROWS: replaced rows of partitioned tables stay visible (global equality deletes are ignored)")


@pytest.mark.parametrize("table", ["replaced", "replaced_flat"])
def test_pyiceberg_refuses_equality_deletes_and_reads_the_snapshot_before_them(world, pyiceberg, limit, table):
    expectation = world.expect(table)
    with pytest.raises(ValueError, match="does not yet support equality deletes"):
        pyiceberg.rows(table)
    limit(pyiceberg, "refuses tables with a replaced file (no equality deletes) until two full compactions have taken the deletes out")
    before = expectation["snapshots"][0]
    same_rows(pyiceberg, before, pyiceberg.rows(table, before["snapshotId"]))


def test_spark_drops_global_deletes_that_are_needed_when_asked_to_remove_dangling_ones(world, spark, limit):
    table = "replaced_to_spoil"
    expectation = world.expect(table)
    options = "map('rewrite-all', 'true', 'remove-dangling-deletes', 'true')"
    spark.sql(f"CALL glue.system.rewrite_data_files(table => 'interop.{table}', options => {options}, where => 'id < 50')")
    assert differ(expectation, spark.rows(table), expectation["rows"]), "no longer true"
    limit(spark, "WRONG ROWS: rewrite_data_files with remove-dangling-deletes brings replaced rows back (the option is off by default)")
