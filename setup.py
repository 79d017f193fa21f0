"""What pyproject.toml cannot say: the Rust parts, and what has to be on the machine to build them."""

import glob
import os
import pathlib
import re
import shutil
import sys

from setuptools import setup
from setuptools_rust import Binding, RustExtension

HERE = pathlib.Path(__file__).parent

#: What may be missing: (what it is, how to see that it is there, how to get it on Debian, Fedora and macOS).
CLANG_FOLDERS = ["/usr/lib/llvm*/lib", "/usr/lib", "/usr/lib64", "/usr/lib64/llvm*/lib", "/usr/lib/*-linux-gnu", "/usr/local/lib",
                 "/usr/local/opt/llvm/lib", "/opt/homebrew/opt/llvm/lib", "/Library/Developer/CommandLineTools/usr/lib",
                 "/Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib"]


def has_apxs():
    named = os.environ.get("APXS")
    search = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    return any(shutil.which(name, path=search) for name in ([named] if named else ["mod_wsgi-apxs", "apxs2", "apxs"]))


def has_libclang():
    folders = [os.environ["LIBCLANG_PATH"]] if "LIBCLANG_PATH" in os.environ else CLANG_FOLDERS
    return any(glob.glob(f"{folder}/libclang*.{ending}*") for folder in folders for ending in ("so", "dylib"))


NEEDED = [
    ("The Apache headers (apxs)", has_apxs, "apt install apache2-dev", "dnf install httpd-devel", "brew install httpd"),
    ("libclang", has_libclang, "apt install libclang-dev", "dnf install clang-devel", "brew install llvm"),
    ("Rust (cargo)", lambda: shutil.which("cargo"), "see https://rustup.rs", "see https://rustup.rs", "see https://rustup.rs"),
]


def check():
    missing = [f"{what} missing: on Debian or Ubuntu: {debian}; on Fedora: {fedora}; on macOS: {mac}."
               for what, there, debian, fedora, mac in NEEDED if not there()]
    if missing and not {"egg_info", "sdist", "dist_info"} & set(sys.argv[1:]):
        sys.exit("mod_wsgi cannot be built here.\n" + "\n".join(missing))


check()
version = re.search(r'(?m)^version = "([^"]+)"', (HERE / "Cargo.toml").read_text())[1]
module = f"mod_wsgi.server.mod_wsgi-py{sys.version_info[0]}{sys.version_info[1]}"
setup(
    version=version,
    rust_extensions=[
        RustExtension("mod_wsgi._engine", "engine/Cargo.toml", binding=Binding.PyO3, py_limited_api=True, debug=False),
        RustExtension(module, "Cargo.toml", binding=Binding.NoBinding, debug=False),
        *(RustExtension({name: f"mod_wsgi.server.{name}"}, f"{folder}/Cargo.toml", binding=Binding.Exec, debug=False)
          for name, folder in (("mod_wsgi-supervisor", "supervisor"), ("mod_wsgi-express", "express"))),
    ],
)
