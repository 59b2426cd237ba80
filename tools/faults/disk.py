"""What a disk may hold after a loss of power, told from a log of calls.

The model is POSIX's, not a kind one: a file's bytes are durable once the file is synced, a name once its folder is, and
neither follows from the other. What is not durable may be there or not, bytes in sectors of 512.
"""

import os
import random

SECTOR = 512

# What of the calls that were not made durable is on the disk: (names, bytes).
LOSSES = {
    "all lost": ("none", "none"),
    "names kept, bytes lost": ("all", "none"),
    "bytes kept, names lost": ("none", "all"),
    "last writes torn": ("all", "some"),
    "any of it": ("some", "some"),
}


def is_shared_memory(name):
    """SQLite's index of its log: mapped, not written; the first connection makes it anew, whatever is in the file."""
    return name.endswith("-shm")


class File:
    def __init__(self, content=b""):
        self.durable = bytes(content)
        self.content = bytearray(content)
        self.pending = []  # ("write", offset, bytes) or ("truncate", length, b""), since the last sync

    def apply(self, kind, offset, data):
        edit(self.content, kind, offset, data)
        self.pending.append((kind, offset, data))

    def sync(self):
        self.durable = bytes(self.content)
        self.pending = []

    def after_loss(self, how, random_source):
        if how == "all":
            return bytes(self.content)
        content = bytearray(self.durable)
        for kind, offset, data in self.pending if how == "some" else []:
            if kind == "truncate":
                if random_source.random() < 0.5:
                    edit(content, kind, offset, data)
                continue
            place = 0
            while place < len(data):
                end = min(len(data), place + SECTOR - (offset + place) % SECTOR)
                if random_source.random() < 0.5:
                    edit(content, kind, offset + place, data[place:end])
                place = end
        return bytes(content)


def edit(content, kind, offset, data):
    if kind == "truncate":
        del content[offset:]
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    if kind == "write":
        content[offset:offset + len(data)] = data


class Folder:
    def __init__(self):
        self.durable = {}
        self.entries = {}
        self.pending = []  # {name: object or None} for each change since the last sync; one change is all or nothing

    def change(self, names):
        for name, target in names.items():
            if target is None:
                self.entries.pop(name, None)
            else:
                self.entries[name] = target
        self.pending.append(names)

    def sync(self):
        self.durable = dict(self.entries)
        self.pending = []

    def after_loss(self, how, random_source):
        if how == "all":
            return dict(self.entries)
        entries, dropped = dict(self.durable), set()
        for names in self.pending if how == "some" else []:
            # Changes of one name keep their order; those of different names need not.
            if dropped & set(names) or random_source.random() < 0.5:
                dropped |= set(names)
                continue
            for name, target in names.items():
                if target is None:
                    entries.pop(name, None)
                else:
                    entries[name] = target
        return entries


class Disk:
    """Starts as a folder is now, all of it durable, and goes on by calls."""

    def __init__(self, folder):
        self.inodes = {}
        self.root = Folder()
        if os.path.isdir(folder):
            self.root = self.load(folder)

    def load(self, path):
        folder = Folder()
        self.inodes[os.stat(path).st_ino] = folder
        for entry in os.scandir(path):
            if is_shared_memory(entry.name):
                continue
            if entry.is_dir():
                target = self.load(entry.path)
            else:
                with open(entry.path, "rb") as file:
                    target = File(file.read())
                self.inodes[entry.inode()] = target
            folder.entries[entry.name] = target
        folder.sync()
        return folder

    def find(self, path):
        target = self.root
        for part in [] if path == "." else path.split("/"):
            target = target.entries[part]
        return target

    def place(self, path):
        return self.find(os.path.dirname(path) or "."), os.path.basename(path)

    def apply(self, call):
        if not call.happened or call.kind in ("close", "output") or is_shared_memory(call.path):
            return
        if call.path == "." and call.kind == "mkdir":
            self.inodes[call.inode] = self.root
        elif call.kind in ("write", "truncate"):
            self.inodes[call.inode].apply(call.kind, call.offset, call.data)
        elif call.kind == "sync":
            self.inodes[call.inode].sync()
        elif call.kind in ("create", "mkdir"):
            target = File() if call.kind == "create" else Folder()
            self.inodes[call.inode] = target
            self.name(call.path, target)
        elif call.kind in ("unlink", "rmdir"):
            self.name(call.path, None)
        elif call.kind == "link":
            self.name(call.other, self.find(call.path))
        elif call.kind == "rename":
            (source, old), (target, new) = self.place(call.path), self.place(call.other)
            moved = source.entries[old]
            if source is target:
                source.change({old: None, new: moved})
            else:
                target.change({new: moved})
                source.change({old: None})

    def name(self, path, target):
        folder, name = self.place(path)
        folder.change({name: target})

    def write(self, path, loss=None, seed=0):
        """Writes what is there after a loss of power (of a kind of LOSSES), or without one."""
        names, content = LOSSES[loss] if loss else ("all", "all")
        source = random.Random(seed)

        def put(folder, path):
            os.makedirs(path, exist_ok=True)
            for name, target in sorted(folder.after_loss(names, source).items()):
                below = os.path.join(path, name)
                if isinstance(target, Folder):
                    put(target, below)
                    continue
                with open(below, "wb") as file:
                    file.write(target.after_loss(content, source))
                if loss and name.endswith("-wal") and source.random() < 0.5:
                    with open(below.removesuffix("-wal") + "-shm", "wb") as file:
                        file.write(source.randbytes(1 << 15))

        put(self.root, path)
