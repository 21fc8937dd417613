"""A database in WAL mode with two connections: one writes, one reads a snapshot that stays as it was."""

import hashlib
import sqlite3

writer = sqlite3.connect("wal.db", isolation_level=None)
reader = sqlite3.connect("wal.db", isolation_level=None)
assert writer.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
writer.execute("PRAGMA wal_autocheckpoint = 200")
writer.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY, text TEXT)")


def contents(connection):
    digest = hashlib.sha256()
    rows = 0
    for row in connection.execute("SELECT number, text FROM numbers ORDER BY text"):
        digest.update(repr(row).encode())
        rows += 1
    return rows, digest.hexdigest()[:16]


for transaction in range(60):
    reader.execute("BEGIN")
    before = contents(reader)
    writer.execute("BEGIN IMMEDIATE")
    for number in range(transaction * 300, transaction * 300 + 300):
        text = hashlib.md5(str(number).encode()).hexdigest()
        writer.execute("INSERT INTO numbers VALUES (?, ?)", (number, text))
    writer.execute("COMMIT")
    assert contents(reader) == before
    reader.execute("COMMIT")
    print(transaction, *contents(reader), flush=True)
assert writer.execute("PRAGMA integrity_check").fetchone() == ("ok",)
