"""The app behind nginx: small on purpose, with one quick, one slow and one large request."""

import os
import time

from flask import Flask, request

app = Flask(__name__, static_folder=None)  # nginx serves the static files


@app.get("/")
def index():
    return "hello\n"


@app.get("/up")
def up():
    """What runmate asks before it starts nginx."""
    return "up\n"


@app.get("/slow")
def slow():
    """A request that takes a while: the one a careless stop cuts off."""
    seconds = min(request.args.get("seconds", 1.0, type=float), 30.0)
    time.sleep(seconds)
    return f"slept {seconds} s\n"


@app.post("/echo")
def echo():
    return f"{len(request.get_data())}\n"


@app.get("/pid")
def pid():
    return f"{os.getpid()}\n"
