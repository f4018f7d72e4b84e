"""Unpacks the standard library, which is baked into the program, into the directory given."""

import sys
import zipfile

zipfile.ZipFile("/usr/local/lib/python312.zip").extractall(sys.argv[1])
