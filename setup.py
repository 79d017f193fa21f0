"""What pyproject.toml cannot say: the Rust parts, and what has to be on the machine to build them."""

import glob
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys

from setuptools import setup
from distutils.command.install_data import install_data  # setuptools has its own of that name
from setuptools_rust import Binding, RustExtension

HERE = pathlib.Path(__file__).parent
CARGO_TOML = (HERE / "Cargo.toml").read_text(encoding="utf-8")
VERSION = re.search(r'(?m)^version = "([^"]+)"', CARGO_TOML)[1]
RUST = re.search(r'(?m)^rust-version = "([^"]+)"', CARGO_TOML)[1]

#: What a build that has failed ends with, below cargo's own words.
FAILED = ('mod_wsgi has not been built: the first "error" of cargo above says why; mend that and give the same command again, or look into '
          "docs/troubleshooting.md.")


# : Whether the module is to be for every Python from 3.10 on (scripts/wheel), and not named after the one that builds
# it.
FOR_ALL = os.environ.get("MOD_WSGI_FOR_ALL_PYTHONS") == "1"
MODULE = "mod_wsgi" if FOR_ALL else "mod_wsgi-py%d%d" % sys.version_info[:2]


def on_path(*names):
    """Whether one of these programs is there, also where only root's PATH leads."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    return any(shutil.which(name, path=path) for name in names)


def has_apxs():
    return on_path(os.environ["APXS"]) if "APXS" in os.environ else on_path("mod_wsgi-apxs", "apxs2", "apxs")


def use_packaged_libclang():
    """Let bindgen load the libclang that pip has installed for this build, unless another one is named."""
    native = importlib.util.find_spec("clang") and importlib.util.find_spec("clang.native")
    if native and "LIBCLANG_PATH" not in os.environ:
        os.environ["LIBCLANG_PATH"] = os.path.dirname(native.origin)


def has_libclang():
    """Search as bindgen does (the crate clang-sys): by $LIBCLANG_PATH alone, or by llvm-config, the linker's variables
    and in the usual directories."""
    if "LIBCLANG_PATH" in os.environ:
        named = os.environ["LIBCLANG_PATH"]
        directories = [named, os.path.dirname(named)]
    else:
        program = os.environ.get("LLVM_CONFIG_PATH", "llvm-config")
        llvm = subprocess.run([program, "--prefix"], capture_output=True, text=True).stdout.strip() if on_path(program) else ""
        directories = [f"{llvm}/{part}" for part in ("bin", "lib", "lib64") if llvm]
        directories += [directory for name in ("LD_LIBRARY_PATH", "LIBRARY_PATH") for directory in os.environ.get(name, "").split(os.pathsep) if directory]
        if sys.platform == "darwin":
            directories += ["/usr/local/opt/llvm*/lib", "/opt/homebrew/opt/llvm*/lib", "/Library/Developer/CommandLineTools/usr/lib",
                        "/Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib"]
        else:
            directories += ["/usr/local/llvm*/lib*", "/usr/local/lib*", "/usr/local/lib*/*", "/usr/local/lib*/*/*", "/usr/lib*", "/usr/lib*/*",
                        "/usr/lib*/*/*"]
    names = ["libclang.dylib"] if sys.platform == "darwin" else ["libclang.so", "libclang.so.*", "libclang-*.so", "libclang-*.so.*"]
    # libclang-cpp is another library: the C++ interface.
    return any("-cpp." not in file for directory in directories for name in names for file in glob.iglob(f"{directory}/{name}"))


def rust_version():
    """The version of the Rust that is there, or nothing."""
    found = on_path("cargo") and re.search(r"\d+\.\d+(\.\d+)?", subprocess.run(["cargo", "--version"], capture_output=True, text=True).stdout)
    return found[0] if found else ""


def has_rust():
    def number(version):
        return tuple(map(int, version.split(".")[:2]))

    return bool(rust_version()) and number(rust_version()) >= number(RUST)


#: What it is, whether it is there, and how to get it on Debian or Ubuntu, on Fedora, and on macOS.
NEEDED = [
    ("Apache's headers (apxs, or the one that $APXS names)", has_apxs,
     "apt install apache2-dev", "dnf install httpd-devel", "brew install httpd"),
    ("libclang", has_libclang, *[f"pip install libclang, or {system}" for system in ("apt install libclang-dev", "dnf install clang-devel", "brew install llvm")]),
    ("a C compiler", lambda: on_path("cc", "gcc", "clang"), "apt install build-essential", "dnf install gcc", "xcode-select --install"),
    (f"Rust {RUST} or later (cargo{', not ' + rust_version() if rust_version() else ''})", has_rust,
     "https://rustup.rs, or apt install cargo where that is so new (Debian 13)", "dnf install cargo", "brew install rust"),
]


def check():
    """End with one sentence for each thing that is missing, before cargo fails without one."""
    missing = [f"mod_wsgi cannot be built: {what} is missing. Debian, Ubuntu: {debian}. Fedora: {fedora}. macOS: {macos}."
               for what, is_there, debian, fedora, macos in NEEDED if not is_there()]
    if missing:
        sys.exit("\n".join(missing))


class InstallDocuments(install_data):
    """Install the manual pages and the completions of shells, which the command that has just been built writes."""

    def run(self):
        built = pathlib.Path(self.get_finalized_command("build").build_lib)
        directory = pathlib.Path(self.get_finalized_command("build").build_temp) / "documents"
        subprocess.run([built / "mod_wsgi/server/mod_wsgi-express", "write-documents", directory], check=True)
        files = [path for path in directory.rglob("*") if path.is_file()]
        self.data_files = [(str("share" / path.parent.relative_to(directory)), [str(path)]) for path in files]
        super().run()


# Metadata and source distributions need no compiler.
if not {"egg_info", "dist_info", "sdist"} & set(sys.argv):
    use_packaged_libclang()
    check()

try:
    setup(
        version=VERSION,
        rust_extensions=[
            RustExtension("mod_wsgi._engine", "engine/Cargo.toml", binding=Binding.PyO3, py_limited_api=True, debug=False, quiet=True),
            RustExtension(f"mod_wsgi.server.{MODULE}", "Cargo.toml", binding=Binding.NoBinding, py_limited_api=FOR_ALL, debug=False, quiet=True),
            RustExtension({"mod_wsgi-supervisor": "mod_wsgi.server.mod_wsgi-supervisor"}, "supervisor/Cargo.toml", binding=Binding.Exec, debug=False, quiet=True),
            RustExtension({"mod_wsgi-express": "mod_wsgi.server.mod_wsgi-express"}, "express/Cargo.toml", binding=Binding.Exec, debug=False, quiet=True),
        ],
        # What another build has left in build/ would be packed, too.
        # Something, or nothing of the kind is installed; what it is is known when the command has been built.
        data_files=[("share/man/man1", [])],
        cmdclass={"install_data": InstallDocuments},
        options={"bdist_wheel": {"py_limited_api": "cp310"}, "build": {"build_base": "build/wheel/base"}} if FOR_ALL else {},
    )
except SystemExit as failure:
    # Text is what setuptools has to say of an error; everything else is an ordinary end.
    sys.exit(f"{failure}\n{FAILED}" if isinstance(failure.code, str) else failure.code)
