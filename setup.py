"""What pyproject.toml cannot say: the Rust parts, and what has to be on the machine to build them."""

import glob
import os
import pathlib
import re
import shutil
import subprocess
import sys

from setuptools import setup
from setuptools_rust import Binding, RustExtension

HERE = pathlib.Path(__file__).parent
CARGO_TOML = (HERE / "Cargo.toml").read_text(encoding="utf-8")
VERSION = re.search(r'(?m)^version = "([^"]+)"', CARGO_TOML)[1]
RUST = re.search(r'(?m)^rust-version = "([^"]+)"', CARGO_TOML)[1]

#: Where libclang is, besides the folder in $LIBCLANG_PATH; bindgen looks there, too.
CLANG_FOLDERS = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/lib/*-linux-gnu", "/usr/lib/llvm*/lib", "/usr/lib64/llvm*/lib",
                 "/usr/local/opt/llvm/lib", "/opt/homebrew/opt/llvm/lib", "/Library/Developer/CommandLineTools/usr/lib",
                 "/Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib"]


def on_path(*names):
    """Whether one of these programs is there, also where only root's PATH leads."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    return any(shutil.which(name, path=path) for name in names)


def has_apxs():
    return on_path(os.environ["APXS"]) if "APXS" in os.environ else on_path("mod_wsgi-apxs", "apxs2", "apxs")


def has_libclang():
    folders = [os.environ["LIBCLANG_PATH"]] if "LIBCLANG_PATH" in os.environ else CLANG_FOLDERS
    return any(glob.glob(f"{folder}/libclang*.{ending}*") for folder in folders for ending in ("so", "dylib"))


def has_rust():
    if not on_path("cargo"):
        return False
    found = re.search(r"(\d+)\.(\d+)", subprocess.run(["cargo", "--version"], capture_output=True, text=True).stdout)
    return bool(found) and tuple(map(int, found.groups())) >= tuple(map(int, RUST.split(".")))


#: What it is, whether it is there, and how to get it on Debian or Ubuntu, on Fedora, and on macOS.
NEEDED = [
    ("Apache's headers (apxs, or the one that $APXS names)", has_apxs,
     "apt install apache2-dev", "dnf install httpd-devel", "brew install httpd"),
    ("libclang", has_libclang, "apt install libclang-dev", "dnf install clang-devel", "brew install llvm"),
    ("a C compiler", lambda: on_path("cc", "gcc", "clang"), "apt install build-essential", "dnf install gcc", "xcode-select --install"),
    (f"Rust {RUST} or later (cargo)", has_rust, *["rustup, see https://rustup.rs"] * 3),
]


def check():
    """End with one sentence for each thing that is missing, before cargo fails without one."""
    missing = [f"mod_wsgi cannot be built: {what} is missing. Debian, Ubuntu: {debian}. Fedora: {fedora}. macOS: {macos}."
               for what, is_there, debian, fedora, macos in NEEDED if not is_there()]
    if missing:
        sys.exit("\n".join(missing))


# Metadata and source distributions need no compiler.
if not {"egg_info", "dist_info", "sdist"} & set(sys.argv):
    check()

setup(
    version=VERSION,
    rust_extensions=[
        RustExtension("mod_wsgi._engine", "engine/Cargo.toml", binding=Binding.PyO3, py_limited_api=True, debug=False),
        RustExtension("mod_wsgi.server.mod_wsgi-py%d%d" % sys.version_info[:2], "Cargo.toml", binding=Binding.NoBinding, debug=False),
        RustExtension({"mod_wsgi-supervisor": "mod_wsgi.server.mod_wsgi-supervisor"}, "supervisor/Cargo.toml", binding=Binding.Exec, debug=False),
        RustExtension({"mod_wsgi-express": "mod_wsgi.server.mod_wsgi-express"}, "express/Cargo.toml", binding=Binding.Exec, debug=False),
    ],
)
