"""The peers of the store: each writes a [rows, classes] float32 array and reads rows at random, its best documented way.

`write(x, folder)` leaves files in an empty folder; the caller syncs them. `open(folder)` gives a function from an array of
row numbers (each at most once in it) to the rows in that order; every thread opens for itself.
"""
import glob, os
import numpy as np

UNIT = 4096  # rows that arrive together, as in a shard


def parts(x):
    return (x[first:first + UNIT] for first in range(0, len(x), UNIT))


class Memmap:
    def write(self, x, folder):
        np.save(f"{folder}/x.npy", x)

    def open(self, folder):
        a = np.load(f"{folder}/x.npy", mmap_mode="r")
        return lambda rows: np.asarray(a[rows])


class HDF5:
    """h5py; it takes increasing indices without doubles, so rows are sorted and put back in order."""

    def __init__(self, chunk=None):
        self.chunk = chunk

    def write(self, x, folder):
        import h5py, hdf5plugin
        layout = {} if self.chunk is None else dict(chunks=(self.chunk, x.shape[1]), shuffle=True, **hdf5plugin.Zstd(clevel=3))
        with h5py.File(f"{folder}/x.h5", "w", libver="v110") as file:
            file.create_dataset("x", data=x, **layout)

    def open(self, folder):
        import h5py, hdf5plugin  # noqa: F401  (registers the filter)
        x = h5py.File(f"{folder}/x.h5", "r")["x"]

        def read(rows):
            order = np.argsort(rows)
            out = np.empty((len(rows), x.shape[1]), np.float32)
            out[order] = x[rows[order]]
            return out
        return read


class Zarr:
    """Without a codec one file for 1,024 rows; compressed, chunks of 64 rows in shards of 4,096."""

    def __init__(self, compressed):
        self.compressed = compressed

    def write(self, x, folder):
        import zarr
        codec = zarr.codecs.BloscCodec(cname="zstd", clevel=3, shuffle="shuffle")
        layout = dict(chunks=(64, x.shape[1]), shards=(UNIT, x.shape[1]), compressors=[codec])
        if not self.compressed:
            layout = dict(chunks=(1024, x.shape[1]), compressors=None)
        array = zarr.create_array(f"{folder}/x", shape=x.shape, dtype="float32", **layout)
        array[:] = x

    def open(self, folder):
        import zarr
        array = zarr.open_array(f"{folder}/x", mode="r")
        return lambda rows: array.oindex[rows]


def record_batches(x):
    import pyarrow as pa
    for part in parts(x):
        values = pa.FixedSizeListArray.from_arrays(pa.array(part.reshape(-1)), x.shape[1])
        yield pa.record_batch([values], names=["x"])


def rows_of(column, classes):
    column = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    return column.flatten().to_numpy(zero_copy_only=False).reshape(-1, classes)


class Lance:
    def write(self, x, folder):
        import lance, pyarrow as pa
        batches = list(record_batches(x[:1]))
        lance.write_dataset(pa.RecordBatchReader.from_batches(batches[0].schema, record_batches(x)), f"{folder}/x.lance")

    def open(self, folder):
        import lance
        table = lance.dataset(f"{folder}/x.lance")
        classes = table.schema.field("x").type.list_size
        return lambda rows: rows_of(table.take(rows, columns=["x"])["x"], classes)


class Arrow:
    """An Arrow IPC file, memory-mapped; `take` on its one column."""

    def write(self, x, folder):
        import pyarrow as pa
        with pa.OSFile(f"{folder}/x.arrow", "wb") as sink:
            with pa.ipc.new_file(sink, next(record_batches(x[:1])).schema) as writer:
                for batch in record_batches(x):
                    writer.write(batch)

    def open(self, folder):
        import pyarrow as pa
        column = pa.ipc.open_file(pa.memory_map(f"{folder}/x.arrow")).read_all()["x"]
        return lambda rows: rows_of(column.take(pa.array(rows)), column.type.list_size)


class Datasets:
    """Hugging Face datasets: an Arrow stream file, memory-mapped, with NumPy's format."""

    def write(self, x, folder):
        import datasets, pyarrow as pa
        from datasets.arrow_writer import ArrowWriter
        features = datasets.Features({"x": datasets.Sequence(datasets.Value("float32"), length=x.shape[1])})
        with ArrowWriter(features=features, path=f"{folder}/x.arrow") as writer:
            for batch in record_batches(x):
                writer.write_table(pa.Table.from_batches([batch]))
            writer.finalize()

    def open(self, folder):
        import datasets
        table = datasets.Dataset.from_file(f"{folder}/x.arrow").with_format("numpy")
        return lambda rows: table[rows]["x"]


class LMDB:
    def write(self, x, folder):
        import lmdb
        database = lmdb.open(f"{folder}/x", map_size=2 * x.nbytes + (64 << 20), sync=False, metasync=False)
        row = 0
        for part in parts(x):
            with database.begin(write=True) as transaction:
                for values in part:
                    transaction.put(row.to_bytes(8, "big"), values.data, append=True)
                    row += 1
        database.sync(True)
        database.close()

    opened = {}

    def open(self, folder):
        import lmdb
        database = self.opened.setdefault(folder, None) or lmdb.open(
            f"{folder}/x", readonly=True, lock=False, readahead=False)
        self.opened[folder] = database  # one a process: LMDB asks for that
        transaction = database.begin(buffers=True)
        classes = len(transaction.get((0).to_bytes(8, "big"))) // 4

        def read(rows):
            out = np.empty((len(rows), classes), np.float32)
            for place, row in enumerate(rows.tolist()):
                out[place] = np.frombuffer(transaction.get(row.to_bytes(8, "big")), np.float32)
            return out
        return read


class ArrayRecord:
    """One record a group, which is its setting for random access; records are read in batches."""

    def __init__(self, options):
        self.options = options

    def write(self, x, folder):
        from array_record.python import array_record_module as m
        writer = m.ArrayRecordWriter(f"{folder}/x.array_record", self.options)
        for values in x:
            writer.write(values.tobytes())
        writer.close()

    def open(self, folder):
        from array_record.python import array_record_module as m
        reader = m.ArrayRecordReader(f"{folder}/x.array_record")
        classes = len(reader.read([0])[0]) // 4
        return lambda rows: np.frombuffer(b"".join(reader.read(rows.tolist())), np.float32).reshape(-1, classes)


RAW = {
    "NumPy memmap": Memmap(), "h5py contiguous": HDF5(), "Zarr v3, no codec": Zarr(False), "Lance": Lance(),
    "Arrow IPC": Arrow(), "HF datasets": Datasets(), "LMDB": LMDB(),
    "ArrayRecord, uncompressed": ArrayRecord("group_size:1,uncompressed"),
}
COMPRESSED = {
    "h5py zstd-3, 1 row a chunk": HDF5(1), "h5py zstd-3, 4 rows": HDF5(4), "h5py zstd-3, 64 rows": HDF5(64),
    "Zarr v3 zstd-3, 64 rows": Zarr(True), "ArrayRecord zstd-3": ArrayRecord("group_size:1,zstd:3"),
}
PEERS = {**RAW, **COMPRESSED}


def files(folder):
    return [name for name in glob.glob(f"{folder}/**", recursive=True) if not os.path.isdir(name)]


def size(folder):
    return sum(os.path.getsize(name) for name in files(folder))


def sync(folder):
    """fsync of every file and folder below, and of the folder that holds it."""
    names = [os.path.dirname(folder.rstrip("/")), folder, *glob.glob(f"{folder}/**", recursive=True)]
    for name in names:
        descriptor = os.open(name, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def warm(folder):
    """Reads every file, so that what follows finds it in the page cache."""
    for name in files(folder):
        with open(name, "rb", buffering=0) as file:
            while file.read(1 << 24):
                pass


def blosc2_bytes(x, chunk, folder):
    """Bytes of two Blosc2 forms, zstd-5 with byte shuffle: its own array file, and its filter in an HDF5 file."""
    import blosc2, h5py, hdf5plugin
    name = f"{folder}/x.b2nd"
    blosc2.asarray(
        x, urlpath=name, mode="w", chunks=(chunk, x.shape[1]),
        cparams=blosc2.CParams(codec=blosc2.Codec.ZSTD, clevel=5, filters=[blosc2.Filter.SHUFFLE]))
    with h5py.File(f"{folder}/x.h5", "w", libver="v110") as file:
        filter = hdf5plugin.Blosc2(cname="zstd", clevel=5, filters=hdf5plugin.Blosc2.SHUFFLE)
        stored = file.create_dataset("x", data=x, chunks=(chunk, x.shape[1]), **filter).id.get_storage_size()
    return os.path.getsize(name), os.path.getsize(f"{folder}/x.h5"), stored
