"""What Java reads of the metadata: its metadata tables touch every field of manifests, lists and snapshots."""

import pytest

TABLES = ["nested", "by_many", "replaced", "many_commits"]
# Doubles with a NaN have none, and DuckDB 1.5.5 gives wrong ones for decimals of more than 18 digits.
WITHOUT_BOUNDS = ["ratio", "large"]
METADATA = [
    "history",
    "metadata_log_entries",
    "snapshots",
    "refs",
    "manifests",
    "all_manifests",
    "entries",
    "all_entries",
    "files",
    "all_files",
    "partitions",
    "position_deletes",
]


@pytest.mark.parametrize("table", TABLES)
def test_spark_reads_every_metadata_table(world, spark, table):
    rows = world.expect(table)["rows"]
    found = {name: spark.sql(f"SELECT * FROM interop.{table}.{name}") for name in METADATA}
    live = [entry for entry in found["entries"] if entry["status"] != 2]
    data = [entry["data_file"] for entry in live if entry["data_file"]["content"] == 0]
    assert len(found["files"]) == len(live)
    assert sum(manifest["added_data_files_count"] + manifest["existing_data_files_count"] for manifest in found["manifests"]) == len(data)
    assert {snapshot["snapshot_id"] for snapshot in found["snapshots"]} >= {ref["snapshot_id"] for ref in found["refs"]}
    assert dict(found["snapshots"][-1]["summary"])["total-data-files"] == str(len(data))
    deletes = [entry for entry in live if entry["data_file"]["content"] != 0]
    if not deletes:
        assert sum(file["record_count"] for file in data) == len(rows)
        assert sum(partition["record_count"] for partition in found["partitions"]) == len(rows)
    for entry in live:
        assert entry["sequence_number"] is not None and entry["snapshot_id"] is not None


@pytest.mark.parametrize("table", ["flat_json", "flat_csv", "by_day", "many_commits"])
def test_column_bounds_hold_every_value_and_counts_are_exact(world, spark, table):
    names = [column["name"] for column in world.expect(table)["columns"]]
    [bounds] = spark.sql(f"SELECT {', '.join(map(of_files, names))} FROM interop.{table}.files")
    [truth] = spark.sql(f"SELECT {', '.join(map(of_rows, names))} FROM interop.{table}")
    for name in names:
        (said, found) = (bounds[name], truth[name])
        assert (said["nulls"], said["values"]) == (found["nulls"], found["values"]), name
        assert said["lower"] is not None or name in WITHOUT_BOUNDS, f"{name} has no bounds"
        if said["lower"] is not None:
            assert said["lower"] <= found["lower"] and found["upper"] <= said["upper"], name


def of_files(name):
    of = f"readable_metrics.`{name}`"
    return (
        f"struct(min({of}.lower_bound) AS lower, max({of}.upper_bound) AS upper, "
        f"sum({of}.null_value_count) AS nulls, sum({of}.value_count) AS values) AS `{name}`"
    )


def of_rows(name):
    number = f"nanvl(`{name}`, NULL)" if name == "ratio" else f"`{name}`"
    return (
        f"struct(min({number}) AS lower, max({number}) AS upper, "
        f"count_if(`{name}` IS NULL) AS nulls, count(*) AS values) AS `{name}`"
    )


def test_expired_snapshots_and_merged_manifests_keep_metadata_small(world, spark):
    world.expect("many_commits")
    [snapshots] = spark.sql("SELECT count(*) AS n FROM interop.many_commits.snapshots")
    [manifests] = spark.sql("SELECT count(*) AS n FROM interop.many_commits.manifests")
    keep = world.places["snapshotsKeepLast"]
    assert keep <= snapshots["n"] < 60 and manifests["n"] < 40, "120 commits were made"
