"""Uses files as typical programs do. Each part prints its results, but nothing that may differ between two
filesystems, so that the output on a plain directory is the expected output."""

import contextlib
import glob
import hashlib
import importlib
import io
import json
import os
import pathlib
import shutil
import sqlite3
import stat
import sys
import tempfile
import traceback
import zipfile

LIBRARY = os.path.dirname(os.__file__)


def part(name):
    """Runs a function; what goes wrong in it is part of the output, and the others still run."""

    def run(function):
        print(f"== {name}")
        try:
            function()
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            print(f"failed: {type(error).__name__}: {error} (line {last.lineno} of {os.path.basename(last.filename)})")

    return run


def tree(top):
    """Every name below a directory with what it holds, in one hash."""
    whole = hashlib.sha256()
    count = size = 0
    for folder, folders, files in os.walk(top):
        folders.sort()
        for name in sorted(folders + files):
            path = os.path.join(folder, name)
            whole.update(os.path.relpath(path, top).encode() + b"\0")
            status = os.lstat(path)
            whole.update(str(stat.S_IFMT(status.st_mode)).encode())
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    data = file.read()
                assert len(data) == status.st_size, path
                whole.update(data)
                size += len(data)
            elif stat.S_ISLNK(status.st_mode):
                whole.update(os.readlink(path).encode())
            count += 1
    return f"{count} names, {size} bytes, {whole.hexdigest()[:16]}"


@part("imports")
def _():
    names = """abc argparse ast asyncio.events base64 bisect calendar cmd codecs collections.abc configparser csv
        datetime decimal difflib email.message enum fractions functools gettext hashlib heapq html.parser inspect
        json.tool logging.handlers mimetypes pickle pprint queue random sched shelve statistics string tarfile
        textwrap timeit unittest urllib.parse uuid wave xml.etree.ElementTree xml.dom.minidom zoneinfo""".split()
    for name in names:
        module = importlib.import_module(name)
        assert module.__file__.startswith(LIBRARY), module.__file__
    print(f"{len(names)} imported from {LIBRARY}")


@part("the layers")
def _():
    from app import config, greeting

    print(greeting.hello(), config.LEVEL)
    print(sorted(os.listdir("/app")), sorted(os.listdir("/app/static")), sorted(os.listdir("/app/plugins")))
    for name in ("mailbox", "this", "app.plugins.broken", "app.plugins.fine"):
        try:
            print(name, getattr(importlib.import_module(name), "SAYS", "no word"))
        except ImportError as error:
            print(name, error)


@part("walk")
def _():
    print(tree("/app"))
    print(tree(LIBRARY))
    print(sum(1 for _ in pathlib.Path(LIBRARY).rglob("*.pyc")), len(glob.glob(f"{LIBRARY}/x*/**/*.pyc", recursive=True)))


@part("rename directories")
def _():
    os.rename("/app/data", "/app/data.old")
    print(os.path.exists("/app/data"), tree("/app/data.old"))
    os.mkdir("/app/data")
    print(os.listdir("/app/data"))
    os.rename("/app/data.old/deep", "/app/data/deep")
    print(tree("/app/data"), tree("/app/data.old"))
    os.replace("/app/data", "/app/moved")
    os.rename("/app/moved", "/app/data")
    # A package of the library, in use and out of use.
    before = tree(f"{LIBRARY}/json")
    os.rename(f"{LIBRARY}/json", f"{LIBRARY}/json2")
    import json2.encoder

    print(before == tree(f"{LIBRARY}/json2"), json2.encoder.__file__)
    os.rename(f"{LIBRARY}/json2", f"{LIBRARY}/json")
    for source, target in (("/app", "/app/data/x"), ("/app/data", "/app/static"), ("/app/data", "/app/main.txt"), ("/missing", "/x")):
        try:
            os.rename(source, target)
        except OSError as error:
            print(source, target, type(error).__name__, error.errno)


@part("remove trees")
def _():
    shutil.rmtree("/app/data.old")
    shutil.rmtree(f"{LIBRARY}/email")
    print(os.path.exists(f"{LIBRARY}/email"))
    os.mkdir(f"{LIBRARY}/email")
    print(os.listdir(f"{LIBRARY}/email"))
    with open(f"{LIBRARY}/email/__init__.py", "w") as file:
        file.write("SAYS = 'another email'\n")
    # Byte code records the time of its source.
    os.utime(f"{LIBRARY}/email/__init__.py", (1_700_000_000, 1_700_000_000))
    for name in [name for name in sys.modules if name.split(".")[0] == "email"]:
        del sys.modules[name]
    importlib.invalidate_caches()
    import email

    print(email.SAYS)
    try:
        shutil.rmtree("/app/main.txt")
    except OSError as error:
        print(type(error).__name__)
    print(tree("/app"))


@part("copy trees")
def _():
    shutil.copytree(f"{LIBRARY}/xml", "/copy/xml")
    print(tree("/copy/xml") == tree(f"{LIBRARY}/xml"), tree("/copy/xml"))
    shutil.copytree("/app", "/copy/app", symlinks=True)
    print(tree("/copy/app") == tree("/app"))
    shutil.move("/copy/app", "/copy/elsewhere")
    print(sorted(os.listdir("/copy")))


@part("temporary files")
def _():
    os.makedirs("/tmp", exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(b"for a moment")
            file.flush()
            print(os.path.getsize(file.name))
        handle, path = tempfile.mkstemp(dir=folder)
        os.write(handle, b"x" * 100_000)
        os.lseek(handle, 50_000, os.SEEK_SET)
        print(len(os.read(handle, 100_000)))
        os.close(handle)
        os.unlink(path)
        with tempfile.SpooledTemporaryFile(max_size=10, dir=folder) as file:
            file.write(b"more than ten bytes")
            file.seek(5)
            print(file.read())
        for number in range(200):
            pathlib.Path(folder, f"{number}").write_text(str(number))
        print(len(os.listdir(folder)))
    print(os.listdir("/tmp"))


@part("zip files")
def _():
    archive = shutil.make_archive("/tmp/xml", "zip", LIBRARY, "xml")
    with zipfile.ZipFile(archive) as packed:
        print(packed.testzip(), len(packed.namelist()))
        packed.extractall("/tmp/unpacked")
    print(tree("/tmp/unpacked/xml") == tree(f"{LIBRARY}/xml"))
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr("added", "appended to the archive")
    sys.path.insert(0, archive)
    with zipfile.ZipFile(archive) as packed:
        print(packed.read("added"))
    sys.path.pop(0)
    shutil.rmtree("/tmp/unpacked")


@part("a database")
def _():
    base = sqlite3.connect("/app/base.db")
    base.execute("create table numbers (n integer primary key, square integer)")
    with base:
        base.executemany("insert into numbers values (?, ?)", ((n, n * n) for n in range(5000)))
    with contextlib.suppress(ZeroDivisionError), base:
        base.execute("delete from numbers")
        1 / 0
    print(base.execute("select count(*), sum(square) from numbers").fetchone())
    base.execute("vacuum")
    base.close()
    # A database of a lower layer.
    base = sqlite3.connect("/app/shop.db")
    print(base.execute("select name from things order by name").fetchall())
    with base:
        base.execute("insert into things values ('a new thing')")
    print(base.execute("pragma integrity_check").fetchone(), base.execute("select count(*) from things").fetchone())
    base.close()
    print(sorted(name for name in os.listdir("/app") if ".db" in name))


@part("files")
def _():
    with open("/app/main.txt", "r+") as file:
        file.seek(5)
        file.write("FIVE")
    with open("/app/main.txt", "a") as file:
        file.write("the end\n")
    print(open("/app/main.txt").read())
    reader = open("/app/log.txt")
    with open("/app/log.txt", "a") as writer:
        for number in range(3):
            print(number, file=writer)
    print(reader.read().splitlines()[-4:])
    os.truncate("/app/log.txt", 5)
    print(os.stat("/app/log.txt").st_size, os.path.getsize("/app/log.txt"))
    os.utime("/app/log.txt", (1_000_000, 2_000_000))
    print(int(os.stat("/app/log.txt").st_mtime))
    os.symlink("main.txt", "/app/link")
    print(os.readlink("/app/link"), os.path.realpath("/app/link"), open("/app/link").read(3))
    os.link("/app/main.txt", "/app/hard")
    print(os.path.samefile("/app/main.txt", "/app/hard"))
    os.remove("/app/link")
    with open("/app/state.json", "w") as file:
        json.dump({"runs": 1}, file)
    os.replace("/app/state.json", "/app/log.txt")
    print(json.load(open("/app/log.txt")))
    with os.scandir("/app") as entries:
        print(sorted((entry.name, entry.is_dir(), entry.is_symlink()) for entry in entries))
    for call in (lambda: open("/missing/x", "w"), lambda: os.mkdir("/app"), lambda: os.rmdir("/app"), lambda: os.unlink("/app"), lambda: open("/app/main.txt/x"), lambda: open("/../../etc/passwd"), lambda: os.symlink("/etc", "/etc")):
        try:
            call()
        except OSError as error:
            print(type(error).__name__, error.errno)


@part("byte code")
def _():
    import py_compile

    pathlib.Path("/app/fresh.py").write_text("SAYS = 'fresh'\n")
    sys.path.insert(0, "/app")
    importlib.invalidate_caches()
    import fresh

    print(fresh.SAYS, os.path.exists("/app/__pycache__"))
    print(py_compile.compile("/app/fresh.py", cfile="/app/fresh.pyc"))
    os.unlink("/app/fresh.py")
    del sys.modules["fresh"]
    importlib.invalidate_caches()
    import fresh as again

    print(again.__file__)


@part("what is left")
def _():
    # These contain the time at which they were made.
    os.unlink("/app/base.db")
    os.unlink("/app/shop.db")
    os.unlink("/tmp/xml.zip")
    shutil.rmtree("/app/__pycache__", ignore_errors=True)
    os.unlink("/app/fresh.pyc")
    for top in ("/app", "/copy", "/tmp", LIBRARY, "/"):
        print(top, tree(top))
