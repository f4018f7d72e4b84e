"""Unpacks the standard library that is embedded in the program, and makes a database, for the layers of the test."""

import os
import sqlite3
import zipfile

os.makedirs("/py/lib/python3.12")
zipfile.ZipFile("/usr/local/lib/python312.zip").extractall("/py/lib/python3.12")

base = sqlite3.connect("/shop.db")
with base:
    base.execute("create table things (name text)")
    base.executemany("insert into things values (?)", [("a lamp",), ("a chair",)])
base.close()
