"""What a corpus holds, by other means than the program's: SQL on the catalogue, JSON, and h5py where it is there."""

import hashlib
import json
import os
import sqlite3

try:
    import h5py
    import hdf5plugin  # noqa: F401 (registers the zstd filter)
except ImportError:
    h5py = None

UNITS = """
    SELECT d.name, s.name, s.digest, n.name, n.digest, n.preprocessing, a.canonical, a.parameters, u.view, u.seed,
           u.list_digest, u.first_position, u.row_count, u.content_digest, u.path
    FROM unit_index u JOIN split_index s ON s.id = u.split_id JOIN dataset_index d ON d.id = s.dataset_id
    JOIN network_index n ON n.id = u.network_id JOIN attack_index a ON a.id = u.attack_id"""

# The tables that name what lies beside the catalogue, without ids and times.
RECORDS = {
    "dataset": "SELECT d.name, s.name, s.digest, s.image_count FROM split_index s "
               "JOIN dataset_index d ON d.id = s.dataset_id",
    "network": "SELECT name, digest, preprocessing, class_count FROM network_index",
    "selection": "SELECT name, dataset, split, image_count FROM selection_index",
    "tree": "SELECT DISTINCT tree FROM snapshot_index",
    "tag": "SELECT t.name, s.tree FROM tag_index t JOIN snapshot_index s ON s.snapshot = t.snapshot",
    "defender": "SELECT name, epochs_done, weights_digest FROM defender_index",
}


class State:
    """`units`: {unit key and content digest: digest of its rows}; `paths`: their files; `records`: the rest by kind."""

    def __init__(self, folder):
        path = os.path.join(folder, "catalog.sqlite")
        how = "mode=ro" if os.path.exists(path + "-wal") else "immutable=1"
        connection = sqlite3.connect(f"file:{path}?{how}", uri=True)
        try:
            self.units, self.paths = {}, {}
            for *key, path in connection.execute(UNITS):
                found = connection.execute("SELECT * FROM rows WHERE shard = ? ORDER BY ordinal", (path,))
                columns = [column[0] for column in found.description]
                kept = [place for place, column in enumerate(columns) if column not in ("shard", "shard_row")]
                rows = [tuple(row[place] for place in kept) for row in found]
                if len(rows) != key[12]:
                    raise ValueError(f"{path} has {len(rows)} of its {key[12]} rows in the catalogue")
                self.units[tuple(key)] = hashlib.sha256(repr(rows).encode()).hexdigest()
                self.paths[tuple(key)] = path
            self.records = {kind: set(connection.execute(sql)) for kind, sql in RECORDS.items()}
        finally:
            connection.close()
        self.head = head_tree(folder)

    @property
    def rows(self):
        return sum(key[12] for key in self.units)

    def differences(self, other):
        """What tells two states apart, in words; empty where nothing does."""
        found = []
        if self.units != other.units:
            found.append(f"units differ: {names(self.units.items() ^ other.units.items())}")
        for kind in self.records:
            if self.records[kind] != other.records[kind]:
                found.append(f"{kind}s differ: {sorted(self.records[kind] ^ other.records[kind])[:3]}")
        if self.head != other.head:
            found.append(f"the head's tree differs: {self.head} and {other.head}")
        return found


def names(units):
    return sorted({f"{key[3]} {key[6]} view {key[8]} at {key[11]}" for key, _ in units})


def head_tree(folder):
    path = os.path.join(folder, "refs/head")
    if not os.path.exists(path):
        return None
    with open(path) as file:
        snapshot = file.read().strip()
    with open(os.path.join(folder, f"snapshots/{snapshot}.json")) as file:
        return json.load(file)["tree"]


def logits(folder, state):
    """{unit: digest of its logits as h5py reads them}; None without h5py."""
    if h5py is None:
        return None
    found = {}
    for key, path in state.paths.items():
        with h5py.File(os.path.join(folder, path), "r") as shard:
            values = shard["logits"][...]
            found[key] = hashlib.sha256(repr(values.shape).encode() + values.astype("<f4").tobytes()).hexdigest()
    return found
