# SPDX-License-Identifier: Apache-2.0
"""What making golden images and restoring them have in common: the bundle, and a container in it."""
import importlib.machinery
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(TOP, "scripts"))
LIMIT = 60  # seconds; for a busy machine

# The bundle is part of every golden image's contract: an image names its mounts and, on them, directories. So nothing here may
# change, only be added beside it for new sets. No regular file outside is
# open in a golden image, but what its program has made on /ckpt, which is in NAME.json ("outside").
DIRECTORIES = ("bin", "dev", "proc", "sys", "tmp", "ckpt", "guest", "etc")
CAPS = ["CAP_" + c for c in """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_CHROOT SYS_PTRACE SYS_ADMIN SYS_NICE SYS_RESOURCE SYS_TIME
SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE SETFCAP""".split()]


class Failed(Exception):
    pass


def make_bundle(work, args, tmp="/tmp"):
    """A bundle below @work whose container runs @args; returns (bundle, rootfs, ckpt)."""
    bundle, rootfs, ckpt = (os.path.join(work, n) for n in ("bundle", "bundle/rootfs", "ckpt"))
    for d in [ckpt] + [os.path.join(rootfs, d) for d in DIRECTORIES]:
        os.makedirs(d)
    for d in (ckpt, os.path.join(rootfs, "tmp"), os.path.join(rootfs, "ckpt")):
        os.chmod(d, 0o1777)
    config = {
        "ociVersion": "1.0.2", "hostname": "guest",
        "process": {
            "terminal": False, "user": {"uid": 0, "gid": 0}, "args": args, "cwd": "/",
            "env": ["PATH=/bin", "HOME=/", "GUEST_TMP=" + tmp, "GUEST_CKPT=/ckpt", "GUEST_TIMEOUT=%d" % LIMIT],
            "capabilities": {k: CAPS for k in ("bounding", "effective", "permitted")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 4096}],
        },
        "root": {"path": "rootfs", "readonly": False},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmp", "options": ["nosuid", "nodev", "mode=1777"]},
            {"destination": "/ckpt", "type": "bind", "source": ckpt, "options": ["rbind", "rw"]},
        ],
        "linux": {"namespaces": [{"type": t} for t in ("pid", "mount", "ipc", "uts", "network")]},
    }
    with open(os.path.join(bundle, "config.json"), "w") as f:
        json.dump(config, f, indent=1)
    return bundle, rootfs, ckpt


class Container:
    """One container in the foreground, its output in a file of @work."""

    def __init__(self, runsc, work, platform="ptrace"):
        self.command = [runsc, "--root", os.path.join(work, "state"), "--platform", platform]
        self.id, self.out, self.proc = "golden", os.path.join(work, "out"), None

    def spawn(self, *verb):
        with open(self.out, "ab") as out:
            self.proc = subprocess.Popen(self.command + list(verb) + [self.id], stdin=subprocess.DEVNULL, stdout=out,
                                         stderr=subprocess.STDOUT, start_new_session=True)

    def call(self, *verb):
        p = subprocess.run(self.command + list(verb), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=LIMIT)
        if p.returncode:
            raise Failed("runsc %s: %s" % (verb[0], p.stdout.decode("utf-8", "replace").strip()))

    def wait(self):
        try:
            return self.proc.wait(LIMIT)
        except subprocess.TimeoutExpired:
            raise Failed("the container did not end in %d s" % LIMIT)

    def wait_for(self, path):
        end = time.monotonic() + LIMIT
        while not os.path.exists(path):
            if self.proc.poll() is not None:
                raise Failed("it ended early: " + self.output()[-300:])
            if time.monotonic() > end:
                raise Failed("waited in vain for " + os.path.basename(path))
            time.sleep(0.005)

    def wait_text(self, text):
        end = time.monotonic() + LIMIT
        while text not in self.output():
            if time.monotonic() > end:
                raise Failed("waited in vain for the output %r" % text)
            time.sleep(0.005)

    def output(self):
        with open(self.out, errors="replace") as f:
            return f.read()

    def destroy(self):
        if self.proc and self.proc.poll() is None:
            subprocess.run(self.command + ["delete", "--force", self.id], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, timeout=LIMIT)
            self.proc.wait(LIMIT)


def go(ckpt, first, last):
    for n in range(first, last + 1):
        open(os.path.join(ckpt, "go.%d" % n), "w").close()


def outside_save(ckpt):
    """What a program has made on the bind mount, as a list for outside_make()."""
    found = []
    for d, dirs, files in os.walk(ckpt):
        dirs.sort()
        for name in dirs + sorted(f for f in files if d != ckpt or not f.startswith(("at.", "go."))):
            path = os.path.join(d, name)
            st = os.lstat(path)
            entry = {"path": os.path.relpath(path, ckpt), "mode": st.st_mode & 0o7777, "mtime_ns": st.st_mtime_ns}
            if name not in dirs:
                if not os.path.isfile(path) or os.path.islink(path):
                    raise Failed("%s is no regular file" % path)
                with open(path, "rb") as f:
                    entry["hex"] = f.read().hex()
            found.append(entry)
    return found


def outside_make(ckpt, entries):
    for e in entries:
        path = os.path.join(ckpt, e["path"])
        if "hex" in e:
            with open(path, "wb") as f:
                f.write(bytes.fromhex(e["hex"]))
        else:
            os.mkdir(path)
        os.chmod(path, e["mode"])
    for e in reversed(entries):  # what is in a directory first
        os.utime(os.path.join(ckpt, e["path"]), ns=(e["mtime_ns"], e["mtime_ns"]))


def restore(runsc, work, image, platform="ptrace", outside=()):
    """Restores @image and lets its program run to its end; (exit status, output)."""
    bundle, _, ckpt = make_bundle(work, ["/restored"])
    outside_make(ckpt, outside)
    go(ckpt, 1, 200)  # every later checkpoint of the program is passed at once
    c = Container(runsc, work, platform)
    try:
        c.spawn("restore", "--image-path", image, "--bundle", bundle)
        return c.wait(), c.output()
    finally:
        c.destroy()


def load_script(path, name):
    loader = importlib.machinery.SourceFileLoader(name, path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


def images():
    """(set, name, directory, expectations) of every golden image."""
    for group in sorted(os.listdir(HERE)):
        if not os.path.isdir(os.path.join(HERE, group)):
            continue
        for name in sorted(n[:-5] for n in os.listdir(os.path.join(HERE, group)) if n.endswith(".json")):
            with open(os.path.join(HERE, group, name + ".json")) as f:
                yield group, name, os.path.join(HERE, group, name), json.load(f)


def scratch(prefix):
    """A temporary directory that everybody may enter, as the sandbox's own user must."""
    import tempfile
    d = tempfile.mkdtemp(prefix=prefix)
    os.chmod(d, 0o755)
    return d


def remove(d):
    shutil.rmtree(d, ignore_errors=True)
