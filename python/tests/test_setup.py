"""What a build says that cannot begin or has failed."""

import os
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("setuptools_rust")

ROOT = pathlib.Path(__file__).resolve().parents[2]


def program(directory, name, script):
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def build(tmp_path, **environment):
    """The last lines of a build with only these programs on PATH."""
    clean = {name: value for name, value in os.environ.items() if name not in ("LIBCLANG_PATH", "APXS", "MAKEFLAGS")}
    env = {**clean, "PATH": f"{tmp_path}:/usr/bin:/bin", "APXS": "true", **environment}
    done = subprocess.run([sys.executable, "setup.py", "build_rust"], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode != 0
    return (done.stdout + done.stderr).splitlines()


@pytest.fixture
def libclang(tmp_path):
    (tmp_path / "libclang.so").touch()
    return str(tmp_path)


def test_a_build_that_fails_ends_with_one_sentence_that_says_what_to_do(tmp_path, libclang):
    program(tmp_path, "cargo", 'case $1 in --version) echo "cargo 1.99.0" ;; *) seq 300 >&2; exit 101 ;; esac')
    last = build(tmp_path, LIBCLANG_PATH=libclang)[-1]
    assert last.startswith("mod_wsgi has not been built: ") and "docs/troubleshooting.md" in last


def test_a_rust_that_is_too_old_is_told_before_cargo_fails(tmp_path, libclang):
    program(tmp_path, "cargo", 'echo "cargo 1.60.0"')
    last = build(tmp_path, LIBCLANG_PATH=libclang)[-1]
    assert last.startswith("mod_wsgi cannot be built: ") and "rustup" in last


def test_the_cpp_interface_is_not_taken_for_libclang(tmp_path):
    program(tmp_path, "cargo", 'echo "cargo 1.99.0"')
    (tmp_path / "libclang-cpp.so.14").touch()
    last = build(tmp_path, LIBCLANG_PATH=str(tmp_path))[-1]
    assert last.startswith("mod_wsgi cannot be built: libclang is missing.")
