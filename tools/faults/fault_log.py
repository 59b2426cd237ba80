"""The log that faults.c writes: one record a call, in the order in which they happened."""

import dataclasses
import os
import struct

KINDS = {1: "write", 2: "sync", 3: "truncate", 4: "create", 5: "rename", 6: "link", 7: "unlink", 8: "mkdir", 9: "rmdir",
         10: "close", 11: "output"}
HEADER = struct.Struct("<IIiIIIQQ")


@dataclasses.dataclass
class Call:
    """One system call; paths are relative to the corpus folder, "." being the folder itself."""

    kind: str
    injected: bool
    error: int  # 0, an errno, or -1 where the process was killed before it
    inode: int
    offset: int
    path: str
    other: str
    data: bytes

    @property
    def happened(self):
        return self.error == 0

    @property
    def is_counted(self):
        return self.kind != "output"

    def __str__(self):
        return f"{self.kind} {self.path}" + (f" to {self.other}" if self.other else "")


def read(log, folder):
    """The calls of a log; an unfinished last record is left out."""
    if not os.path.exists(log):
        return []
    with open(log, "rb") as file:
        text = file.read()
    calls, place = [], 0

    def name(raw):
        return os.path.relpath(raw.decode().removesuffix(" (deleted)"), folder) if raw else ""

    while place + HEADER.size <= len(text):
        kind, injected, error, path, other, data, inode, offset = HEADER.unpack_from(text, place)
        place += HEADER.size
        if place + path + other + data > len(text):
            break
        parts = [text[place:place + path], text[place + path:place + path + other],
                 text[place + path + other:place + path + other + data]]
        place += path + other + data
        calls.append(Call(KINDS[kind], bool(injected), error, inode, offset, name(parts[0]), name(parts[1]), parts[2]))
    return calls
