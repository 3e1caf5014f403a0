"""A one-layer image as a docker-archive: the same files give the same image id."""

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

# Debian's habit for reproducible files: one fixed time for all of them.
_EPOCH = 0


def write_archive(tree: Path, tag: str, archive: Path) -> None:
    """Write the files of `tree`, owned by root, as image `tag` for `docker load`.

    Parameters
    ----------
    tree : Path
        Root file system.
    tag : str
        Name and tag of the image.
    archive : Path
        File to write.
    """
    layer = archive.with_suffix(".layer")
    with tarfile.open(layer, "w", format=tarfile.GNU_FORMAT) as out:
        for path in sorted(tree.rglob("*")):
            name = path.relative_to(tree).as_posix()
            out_info = out.gettarinfo(str(path), arcname=name)
            out_info.uid = out_info.gid = 0
            out_info.uname = out_info.gname = "root"
            out_info.mtime = _EPOCH
            # Hard links made by compileall depend on the file system.
            if out_info.islnk():
                out_info.type, out_info.linkname = tarfile.REGTYPE, ""
                out_info.size = path.stat().st_size
            if name == "tmp":
                out_info.mode = 0o1777
            if out_info.isreg():
                with path.open("rb") as content:
                    out.addfile(out_info, content)
            else:
                out.addfile(out_info)
    with layer.open("rb") as content:
        diff_id = hashlib.file_digest(content, "sha256").hexdigest()
    config = json.dumps(
        {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Env": ["PATH=/usr/bin", "LANG=C.UTF-8"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "retrue.base_image"}],
        },
        sort_keys=True,
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps(
        [{"Config": config_name, "RepoTags": [tag], "Layers": [f"{diff_id}/layer.tar"]}]
    ).encode()
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as out:
        for name, payload in ((config_name, config), ("manifest.json", manifest)):
            info = tarfile.TarInfo(name)
            info.size = len(payload)
            out.addfile(info, io.BytesIO(payload))
        out.add(layer, arcname=f"{diff_id}/layer.tar")
    layer.unlink()
