"""Flower's own settings file: the login, from the file that Docker hands secrets over with."""

import os
from pathlib import Path

if _login := os.environ.get("FLOWER_BASIC_AUTH_FILE"):
    basic_auth = [Path(_login).read_text(encoding="utf-8").strip()]
