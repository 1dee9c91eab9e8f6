"""Sends a folder as an artifact: hash, ask what is missing, send only that, commit the manifest.

Nothing is visible to readers before the commit. A broken stream goes on from what the server has made durable.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import batched
from pathlib import Path

import grpc
