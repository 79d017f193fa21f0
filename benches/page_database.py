"""What page.py shows, in a file that nobody changes."""
import pathlib
import sqlite3

FILE = pathlib.Path(__file__).resolve().parent.parent / "build" / "bench" / "database"


def make():
    FILE.unlink(missing_ok=True)
    with sqlite3.connect(FILE) as database:
        database.execute("CREATE TABLE goods (number INTEGER PRIMARY KEY, name TEXT, price REAL)")
        database.executemany("INSERT INTO goods VALUES (?, ?, ?)", [(n, f"Thing <{n}>", n * 1.37) for n in range(200)])
