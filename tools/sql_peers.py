"""The peers of SQL over logits. Each prepares its own files from a [rows, classes] float32 array once, opens them, and answers
two questions: counts of the row means over BINS bins of LOW … HIGH, and the mean of each class."""
import os, sqlite3
import numpy as np

BINS, LOW, HIGH = 100, -0.3, 0.3
PART = 4096  # rows that are read at once


class NumPy:
    """The array in memory, summed in float32 (NumPy's default) or float64 (what ours computes in)."""

    def __init__(self, dtype):
        self.dtype = dtype

    def prepare(self, logits, rows, classes, path):
        pass

    def open(self, logits, rows, classes, path):
        self.x = np.fromfile(logits, np.float32).reshape(rows, classes)

    def histogram(self):
        return np.histogram(self.x.mean(axis=1, dtype=self.dtype), BINS, (LOW, HIGH))[0]

    def mean(self):
        return self.x.mean(axis=0, dtype=self.dtype)


class HDF5:
    def __init__(self, chunk=None):
        self.chunk = chunk

    def prepare(self, logits, rows, classes, path):
        import h5py, hdf5plugin
        layout = {} if self.chunk is None else dict(chunks=(self.chunk, classes), shuffle=True, **hdf5plugin.Zstd(clevel=3))
        x = np.memmap(logits, np.float32, "r", shape=(rows, classes))
        with h5py.File(path, "w", libver="v110") as file:
            stored = file.create_dataset("x", x.shape, np.float32, **layout)
            for first in range(0, rows, PART):
                stored[first:first + PART] = x[first:first + PART]

    def open(self, logits, rows, classes, path):
        import h5py, hdf5plugin  # noqa: F401  (registers the filter)
        self.x = h5py.File(path, "r")["x"]
        self.part = np.empty((PART, classes), np.float32)

    def parts(self):
        for first in range(0, len(self.x), PART):
            part = self.part[:min(PART, len(self.x) - first)]
            self.x.read_direct(part, np.s_[first:first + len(part)])
            yield part

    def histogram(self):
        return np.histogram(np.concatenate([part.mean(axis=1) for part in self.parts()]), BINS, (LOW, HIGH))[0]

    def mean(self):
        return sum(part.sum(axis=0, dtype=np.float32).astype(float) for part in self.parts()) / len(self.x)


def write_parquet(logits, rows, classes, path, compression):
    import pyarrow as pa, pyarrow.parquet as pq
    x = np.memmap(logits, np.float32, "r", shape=(rows, classes))
    schema = pa.schema([("z", pa.list_(pa.float32(), classes))])
    with pq.ParquetWriter(path, schema, compression=compression, use_dictionary=False) as writer:
        for first in range(0, rows, 8192):
            part = np.ascontiguousarray(x[first:first + 8192])
            column = pa.FixedSizeListArray.from_arrays(pa.array(part.reshape(-1)), classes)
            writer.write_table(pa.table([column], schema=schema))


class DuckDB:
    """FLOAT[classes] in Parquet."""

    def prepare(self, logits, rows, classes, path):
        write_parquet(logits, rows, classes, path, "zstd")

    def open(self, logits, rows, classes, path):
        import duckdb
        self.db = duckdb.connect(config=dict(threads=os.cpu_count()))
        self.rows = f"read_parquet('{path}')"

    def histogram(self):
        found = self.db.execute(
            f"SELECT least({BINS - 1}, floor((m - {LOW}) / {(HIGH - LOW) / BINS}))::INT b, count(*) FROM "
            f"(SELECT list_avg(z) m FROM {self.rows}) WHERE m BETWEEN {LOW} AND {HIGH} GROUP BY b").fetchall()
        counts = np.zeros(BINS, int)
        for place, count in found:
            counts[place] = count
        return counts

    def mean(self):
        found = self.db.execute(
            f"SELECT avg(v) FROM (SELECT unnest(z) v, generate_subscripts(z, 1) i FROM {self.rows}) GROUP BY i ORDER BY i")
        return np.array([row[0] for row in found.fetchall()])


class Polars:
    """A fixed-size array column in Parquet."""

    def prepare(self, logits, rows, classes, path):
        write_parquet(logits, rows, classes, path, "zstd")

    def open(self, logits, rows, classes, path):
        import polars as pl
        self.pl, self.path, self.classes = pl, path, classes

    def scan(self):
        pl = self.pl
        column = pl.col("z")
        if not isinstance(pl.scan_parquet(self.path).collect_schema()["z"], pl.Array):
            column = column.list.to_array(self.classes)
        return pl.scan_parquet(self.path), column

    def histogram(self):
        rows, z = self.scan()
        means = rows.select(z.arr.mean()).collect(engine="streaming")["z"]
        return np.histogram(means.to_numpy(), BINS, (LOW, HIGH))[0]

    def mean(self):
        rows, z = self.scan()
        fields = [z.arr.get(place).mean().alias(str(place)) for place in range(self.classes)]
        return rows.select(fields).collect(engine="streaming").to_numpy()[0]


class Python:
    """SQLite with functions in Python: a blob a row."""

    def prepare(self, logits, rows, classes, path):
        x = np.memmap(logits, np.float32, "r", shape=(rows, classes))
        db = sqlite3.connect(path)
        db.execute("CREATE TABLE logits (id INTEGER PRIMARY KEY, z BLOB)")
        db.executemany("INSERT INTO logits VALUES (?, ?)", ((row, x[row].tobytes()) for row in range(rows)))
        db.commit()

    def open(self, logits, rows, classes, path):
        class Histogram:
            def __init__(self):
                self.values = []

            def step(self, value):
                self.values.append(value)

            def finalize(self):
                return np.histogram(self.values, BINS, (LOW, HIGH))[0].astype(np.int64).tobytes()

        class Mean:
            def __init__(self):
                self.total, self.count = 0, 0

            def step(self, z):
                self.total = self.total + np.frombuffer(z, np.float32).astype(float)
                self.count += 1

            def finalize(self):
                return (self.total / self.count).tobytes()

        self.db = sqlite3.connect(path)
        self.db.create_function("mean", 1, lambda z: float(np.frombuffer(z, np.float32).mean()), deterministic=True)
        self.db.create_aggregate("histogram", 1, Histogram)
        self.db.create_aggregate("vec_mean", 1, Mean)

    def histogram(self):
        return np.frombuffer(self.db.execute("SELECT histogram(mean(z)) FROM logits").fetchone()[0], np.int64)

    def mean(self):
        return np.frombuffer(self.db.execute("SELECT vec_mean(z) FROM logits").fetchone()[0], float)


PEERS = {
    "NumPy in memory, float32 sums": (NumPy(np.float32), ""),
    "NumPy in memory, float64 sums": (NumPy(np.float64), ""),
    "h5py contiguous, NumPy": (HDF5(), "contiguous.h5"),
    "h5py zstd, NumPy": (HDF5(64), "zstd.h5"),
    "DuckDB, Parquet": (DuckDB(), "duckdb.parquet"),
    "Polars, Parquet": (Polars(), "polars.parquet"),
    "SQLite, Python functions": (Python(), "python.sqlite"),
}
