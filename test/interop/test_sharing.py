"""Other engines write to Moraine's tables, and Moraine to theirs: nothing is lost, nothing is there twice."""

from datetime import datetime, timezone

import pyarrow
import pytest
from expected import differ, same_rows
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform
from pyiceberg.types import DecimalType, IntegerType, LongType, NestedField, StringType, TimestamptzType

BY_SPARK = [{"id": "9001", "name": "by Spark", "at": "2024-01-01T00:00:00.000000Z"}, {"id": "9002", "name": None, "at": None}]
BY_PYICEBERG = [{"id": "9101", "name": "by PyIceberg", "at": "2024-01-02T00:00:00.000000Z"}]
SPARK_VALUES = "(9001, 'by Spark', TIMESTAMP '2024-01-01 00:00:00'), (9002, NULL, NULL)"


def append(pyiceberg, table):
    rows = [{"id": 9101, "name": "by PyIceberg", "at": datetime(2024, 1, 2, tzinfo=timezone.utc)}]
    schema = pyarrow.schema([("id", pyarrow.int64()), ("name", pyarrow.string()), ("at", pyarrow.timestamp("us", "UTC"))])
    pyiceberg.table(table).append(pyarrow.Table.from_pylist(rows, schema))


def compact(spark, table):
    """The first one applies the deletes; those of the very snapshot it started from are let go by the second."""
    spark.sql(f"CALL glue.system.rewrite_data_files(table => 'interop.{table}', options => map('rewrite-all', 'true'))")
    spark.sql(f"CALL glue.system.rewrite_manifests(table => 'interop.{table}')")
    spark.sql(f"CALL glue.system.expire_snapshots(table => 'interop.{table}', older_than => TIMESTAMP '2999-01-01 00:00:00', retain_last => 1)")


def watermark(pyiceberg, table):
    return pyiceberg.table(table).properties["moraine.interop.commit-seq"].split(":")[0]


@pytest.mark.parametrize("table", ["shared", "shared_by_day"])
def test_a_file_is_replaced_after_others_appended_compacted_and_expired(world, spark, pyiceberg, clickhouse, limit, table):
    world.step(table)
    spark.sql(f"INSERT INTO interop.{table} (id, name, at) VALUES {SPARK_VALUES}")
    append(pyiceberg, table)
    foreign = BY_SPARK + BY_PYICEBERG
    check([spark, pyiceberg, clickhouse], world.told[table], foreign)

    compact(spark, table)
    check([spark, pyiceberg, clickhouse], world.told[table], foreign)
    assert watermark(pyiceberg, table) == "2"

    replaced = world.step(table)
    assert replaced["findings"] == [] and watermark(pyiceberg, table) == "3"
    check([spark], replaced, foreign)
    if table == "shared":
        assert differ(replaced, clickhouse.rows(table), replaced["rows"] + foreign), "no longer true"
        same_rows(clickhouse, replaced, clickhouse.rows(table), replaced["rows"])
        limit(clickhouse, "MISSING ROWS: rows other engines wrote (null _file_path) are hidden once a file was replaced")

    spark.sql(f"INSERT INTO interop.{table} (id, name, at) VALUES {SPARK_VALUES}")
    foreign = foreign + BY_SPARK
    compact(spark, table)
    check([spark], replaced, foreign)

    more = world.step(table)
    assert more["findings"] == [] and watermark(pyiceberg, table) == "4"
    check([spark], more, foreign)
    compact(spark, table)
    compact(spark, table)
    check([spark, pyiceberg, clickhouse], more, foreign)


def check(engines, expectation, foreign):
    for engine in engines:
        same_rows(engine, expectation, engine.rows(expectation["table"]), expectation["rows"] + foreign)


def test_a_table_made_by_spark_is_adopted(world, spark, pyiceberg):
    spark.sql(
        "CREATE TABLE interop.adopted_spark (id BIGINT NOT NULL, count INT, price DECIMAL(9, 2), name STRING, at TIMESTAMP)"
        " USING iceberg PARTITIONED BY (bucket(4, id), days(at)) TBLPROPERTIES ('format-version' = '2')"
    )
    spark.sql(
        "INSERT INTO interop.adopted_spark VALUES (100, 7, 1.50, 'theirs', TIMESTAMP '2024-01-01 00:00:00'), (101, NULL, NULL, NULL, NULL)"
    )
    theirs = [{"id": "100", "count": "7", "price": "1.5", "name": "theirs", "at": "2024-01-01T00:00:00.000000Z"}, {"id": "101"}]
    check_adopted(world, [spark], "adopted_spark", theirs)
    compact(spark, "adopted_spark")
    compact(spark, "adopted_spark")
    check([spark, pyiceberg], world.told["adopted_spark"], theirs)


def test_a_table_made_by_pyiceberg_is_adopted(world, spark, pyiceberg):
    schema = Schema(
        NestedField(1, "id", LongType(), required=True),
        NestedField(2, "count", IntegerType()),
        NestedField(3, "price", DecimalType(9, 2)),
        NestedField(4, "name", StringType()),
        NestedField(5, "at", TimestamptzType()),
    )
    spec = PartitionSpec(PartitionField(2, 1000, BucketTransform(4), "count_bucket"))
    made_by_pyiceberg(pyiceberg, "adopted_pyiceberg", schema, [{"id": 100, "count": 7, "name": "theirs"}], spec)
    check_adopted(world, [spark], "adopted_pyiceberg", [{"id": "100", "count": "7", "name": "theirs"}])


# These three are the converter's to mend; each passes as soon as it is.
def test_a_json_number_with_many_digits_is_exact_in_a_decimal_column(world, spark):
    check([spark], world.step("exact_decimals"), [])


def test_an_int_column_of_another_engine_is_widened_to_long(world, pyiceberg, spark):
    made_by_pyiceberg(pyiceberg, "widened", Schema(NestedField(1, "count", IntegerType())), [{"count": 1}])
    check([spark, pyiceberg], world.step("widened"), [{"count": "1"}])


def test_a_file_with_a_null_in_a_required_column_is_refused_alone(world, pyiceberg, spark):
    made_by_pyiceberg(pyiceberg, "required", Schema(NestedField(1, "id", LongType(), required=True)), [{"id": 100}])
    check([spark, pyiceberg], world.step("required"), [{"id": "100"}])


def made_by_pyiceberg(pyiceberg, name, schema, rows, spec=UNPARTITIONED_PARTITION_SPEC):
    location = f"s3://warehouse/pyiceberg/{name}"
    table = pyiceberg.catalog.create_table(f"interop.{name}", schema, location=location, partition_spec=spec)
    table.append(pyarrow.Table.from_pylist(rows, schema.as_arrow()))


def check_adopted(world, engines, table, theirs):
    ours = world.step(table)
    assert ours["findings"] == []
    check(engines, ours, theirs)
