# A server that has done what takes long before its first job, freezes itself, and finds its job in the environment after the
# restart.
import ast
import asyncio
import decimal
import email
import fractions
import hashlib
import http.client
import json
import os
import signal
import sqlite3
import unittest
import xml.dom.minidom

TABLE = {n: hashlib.sha256(str(n).encode()).hexdigest() for n in range(20_000)}

os.kill(os.getpid(), signal.SIGUSR2)

# os.environ is a copy that was made when the interpreter started.
with open("/proc/self/environ") as file:
    os.environ.update(line.split("=", 1) for line in file.read().split("\0") if line)

job = json.loads(os.environ["JOB"])
with open(os.environ["RESULT"], "w") as result:
    print(job["name"], TABLE[job["number"]], file=result)
