"""Three Iceberg engines that are not ours, each with the same few questions: rows, rows of a snapshot, rows of a predicate and how
many data files were read for it. All find the tables through the local Glue and read the objects from the local S3."""

import os

import chdb.session
import pyarrow
from expected import NULL_LISTS, NULL_LISTS_OF_STRUCTS, NULL_STRUCTS
from pyiceberg.catalog import load_catalog
from pyspark.sql import SparkSession

DATABASE = "interop"
KEY = "local"


def literal(kind, value, quote="'"):
    return value if kind == "long" or kind.startswith("decimal") else quote + value.replace("'", "''") + quote


class Engine:
    """What an engine shows otherwise than it is stored; where its pruning is known to be wrong or missing."""

    blurs = ()

    def pruning_gap(self, table, where):
        return None


class PyIceberg(Engine):
    name = "PyIceberg"
    blurs = (NULL_LISTS_OF_STRUCTS,)

    def __init__(self, world):
        properties = {"type": "glue", "glue.endpoint": world["glue"], "glue.region": "us-east-1", "s3.endpoint": world["s3"]}
        keys = {f"{service}.{name}": KEY for service in ("glue", "s3") for name in ("access-key-id", "secret-access-key")}
        self.catalog = load_catalog("moraine", **properties, **keys, **{"s3.region": "us-east-1"})

    def table(self, name):
        return self.catalog.load_table(f"{DATABASE}.{name}")

    def rows(self, name, snapshot=None):
        return self.table(name).scan(snapshot_id=snapshot and int(snapshot)).to_arrow().to_pylist()

    def select(self, name, where, kinds):
        scan = self.table(name).scan(row_filter=" and ".join(self.clause(clause, kinds) for clause in where))
        return scan.to_arrow().to_pylist(), len(list(scan.plan_files()))

    def clause(self, clause, kinds):
        column, op = clause["column"], clause["op"]
        if op == "is null":
            return f"{column} is null"
        value = clause["value"]
        if op == "starts with":
            return f"{column} like '{value}%'"
        return f"{column} {op} {literal(kinds[column], value.replace('000Z', '000+00:00'))}"

    def files(self, name):
        return len(list(self.table(name).scan().plan_files()))


class Spark(Engine):
    name = "Spark"

    def __init__(self, world, jars):
        glue = "spark.sql.catalog.glue"
        settings = {
            "spark.jars": ",".join(jars),
            "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
            glue: "org.apache.iceberg.spark.SparkCatalog",
            f"{glue}.type": "glue",
            f"{glue}.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
            f"{glue}.glue.endpoint": world["glue"],
            f"{glue}.s3.endpoint": world["s3"],
            f"{glue}.s3.path-style-access": "true",
            f"{glue}.client.region": "us-east-1",
            f"{glue}.warehouse": "s3://warehouse/spark",
            f"{glue}.cache-enabled": "false",
            "spark.sql.defaultCatalog": "glue",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.adaptive.enabled": "false",
            "spark.sql.shuffle.partitions": "2",
            "spark.driver.memory": "1g",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.ui.enabled": "false",
        }
        os.environ.update(AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=KEY, AWS_REGION="us-east-1")
        builder = SparkSession.builder.master("local[2]").appName("moraine-interop")
        for setting, value in settings.items():
            builder = builder.config(setting, value)
        self.session = builder.getOrCreate()
        self.session.sparkContext.setLogLevel("ERROR")

    def sql(self, text):
        return self.session.sql(text).toArrow().to_pylist()

    def rows(self, name, snapshot=None):
        version = f" VERSION AS OF {snapshot}" if snapshot else ""
        return self.sql(f"SELECT * FROM {DATABASE}.{name}{version}")

    def select(self, name, where, kinds):
        frame = self.session.sql(f"SELECT * FROM {DATABASE}.{name} WHERE {self.where(where, kinds)}")
        return frame.toArrow().to_pylist(), self.files_read(frame)

    def where(self, where, kinds):
        return " AND ".join(self.clause(clause, kinds) for clause in where)

    def clause(self, clause, kinds):
        column, op = clause["column"], clause["op"]
        if op == "is null":
            return f"{column} IS NULL"
        value = clause["value"]
        if op == "starts with":
            return f"startswith({column}, '{value}')"
        cast = {"timestamptz": "TIMESTAMP", "timestamp": "TIMESTAMP_NTZ", "date": "DATE"}.get(kinds[column], "")
        return f"{column} {op} {cast}{literal(kinds[column], value)}"

    def files_read(self, frame):
        """Of a frame that was read once: a second run would reuse the planned files and count none."""
        plan = frame._jdf.queryExecution().executedPlan().collectLeaves().head()
        return plan.metrics().apply("resultDataFiles").value()

    def files(self, name):
        return self.sql(f"SELECT count(*) AS n FROM {DATABASE}.{name}.data_files")[0]["n"]


class ClickHouse(Engine):
    name = "ClickHouse"
    blurs = (NULL_LISTS, NULL_STRUCTS)
    pruned_files = "SELECT sum(value) AS n FROM system.events WHERE event LIKE 'Iceberg%PrunedFiles'"

    def __init__(self, world):
        self.session = chdb.session.Session()
        self.session.query("SET allow_database_glue_catalog = 1, session_timezone = 'UTC', schema_inference_make_columns_nullable = 1")
        self.session.query("SET output_format_arrow_string_as_string = 1")
        settings = f"catalog_type = 'glue', region = 'us-east-1', aws_access_key_id = '{KEY}', aws_secret_access_key = '{KEY}'"
        storage = f"storage_endpoint = '{world['s3']}/warehouse'"
        self.session.query(f"CREATE DATABASE glue ENGINE = DataLakeCatalog('{world['glue']}') SETTINGS {settings}, {storage}")

    def sql(self, text):
        answer = self.session.query(text, "Arrow").bytes()
        return pyarrow.ipc.open_file(answer).read_all().to_pylist() if answer else []

    def table(self, name):
        return f"glue.`{DATABASE}.{name}`"

    def rows(self, name, snapshot=None):
        version = f" SETTINGS iceberg_snapshot_id = {snapshot}" if snapshot else ""
        return self.sql(f"SELECT {self.columns(name)} FROM {self.table(name)}{version}")

    def columns(self, name):
        """Bytes are a String to ClickHouse, and strings come as text."""
        return "* REPLACE (hex(content) AS content)" if name == "objects_binary" else "*"

    def select(self, name, where, kinds):
        before = self.sql(self.pruned_files)[0]["n"]
        condition = " AND ".join(self.clause(clause, kinds) for clause in where)
        rows = self.sql(f"SELECT {self.columns(name)} FROM {self.table(name)} WHERE {condition}")
        return rows, self.files(name) - (self.sql(self.pruned_files)[0]["n"] - before)

    def pruning_gap(self, table, where):
        values = [clause.get("value", "") for clause in where]
        if table == "by_month" and values == ["1969-12-31"]:
            return "rows before 1970 are missing when a predicate meets a month partition (ClickHouse issue 119579)"
        if where[0]["column"] == "small":
            return "an identity partition of decimals is not used for pruning"
        return None

    def clause(self, clause, kinds):
        column, op = clause["column"], clause["op"]
        if op == "is null":
            return f"{column} IS NULL"
        value, kind = clause["value"], kinds[column]
        if op == "starts with":
            return f"startsWith({column}, '{value}')"
        if kind.startswith("timestamp"):
            zone = ", 'UTC'" if kind == "timestamptz" else ""
            value = value.removesuffix("Z").replace("T", " ")
            return f"{column} {op} toDateTime64('{value}', 6{zone})"
        if kind == "date":
            return f"{column} {op} toDate32('{value}')"
        return f"{column} {op} {literal(kind, value)}"

    def files(self, name):
        return self.sql(f"SELECT uniqExact(_path) AS n FROM {self.table(name)}")[0]["n"]
