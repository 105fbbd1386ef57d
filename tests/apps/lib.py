# SPDX-License-Identifier: Apache-2.0
"""Running one application case natively or under a runtime; used by tests/apps/run and scripts/bench."""
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
CASES = os.path.join(HERE, "cases")
CAPS = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT
SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP""".split()  # in bit order
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENV = {"PATH": PATH, "HOME": "/root", "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "TZ": "UTC", "TERM": "xterm", "USER": "root",
       "LOGNAME": "root", "SHELL": "/bin/bash"}
# Not pid 1 itself, which would neither reap orphans nor be killed by its own signals.
INIT = ["/bin/sh", "-c", '"$0"; exit $?']
OK = "RESULT ok"


class Failed(Exception):
    """A run went wrong; the text says how."""


class Case:
    """A script cases/NAME, or a directory cases/NAME with a script `run` in it. Its first comment lines may say
    `needs: COMMAND...`, `tags: WORD...` and `timeout: SECONDS` (native; sandboxes get SLOWER times as long)."""

    SLOWER = 6

    def __init__(self, name):
        self.name = name
        path = os.path.join(CASES, name)
        self.inside = "/cases/" + name
        if os.path.isdir(path):
            path, self.inside = path + "/run", self.inside + "/run"
        self.needs, self.tags, self.timeout = [], [], 60
        with open(path, errors="replace") as f:
            for line in f.read(4096).splitlines()[:12]:
                m = re.match(r"\W*(needs|tags|timeout): (.*)", line)
                if m:
                    words = m[2].split()
                    setattr(self, m[1], int(words[0]) if m[1] == "timeout" else words)

    def missing(self, rootfs):
        """The first thing it needs that the root file system lacks, or None."""
        for need in self.needs:
            dirs = [""] if need.startswith("/") else PATH.split(":")
            # lexists: alternatives are links to absolute paths, which mean something else out here
            if not any(os.path.lexists(os.path.join(rootfs, d.lstrip("/"), need.lstrip("/"))) for d in dirs):
                return need
        return None


def all_cases():
    names = os.listdir(CASES)
    return [Case(n) for n in sorted(names) if not n.startswith((".", "lib"))]


def rootfs_default():
    """A root file system that scripts/apps-rootfs made: $APPS_ROOTFS, else the full one, else the small one."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for d in (os.environ.get("APPS_ROOTFS", ""), "/var/cache/runsc/apps-full", cache + "/runsc/apps-full",
              "/var/cache/runsc/apps-ci", cache + "/runsc/apps-ci"):
        if d and os.path.exists(os.path.join(d, "etc/debian_version")):
            return d
    return None


def held_capabilities():
    """The caller's own: a native run cannot have more, and all should be alike."""
    with open("/proc/self/status") as f:
        bits = int(next(l for l in f if l.startswith("CapEff:")).split()[1], 16)
    return ["CAP_" + c for i, c in enumerate(CAPS) if bits >> i & 1]


def config(root, args, readonly=False, cwd="/root", mounts=()):
    caps = held_capabilities()
    return {
        "ociVersion": "1.0.2",
        "hostname": "apps",
        "process": {
            "terminal": False, "user": {"uid": 0, "gid": 0}, "args": args, "cwd": cwd,
            "env": ["%s=%s" % kv for kv in ENV.items()],
            "capabilities": {k: caps for k in ("bounding", "effective", "permitted")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024,
                         "hard": min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])}],
        },
        "root": {"path": root, "readonly": readonly},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmp", "options": ["nosuid", "nodev", "mode=1777"]},
            {"destination": "/run", "type": "tmpfs", "source": "run", "options": ["nosuid", "nodev", "mode=755"]},
            {"destination": "/cases", "type": "bind", "source": CASES, "options": ["rbind", "ro"]},
        ] + list(mounts),
        "linux": {"namespaces": [{"type": t} for t in ("pid", "mount", "ipc", "uts", "network")]},
    }


# What config() says, by hand: for native runs.
NATIVE = r"""
set -e
root=$1; shift
mount --make-rprivate /
mount -t proc proc $root/proc
mount -t tmpfs -o mode=755,nosuid tmpfs $root/dev; umask 022
mk() { mknod -m 666 $root/dev/$1 c $2 $3; }
mk null 1 3; mk zero 1 5; mk full 1 7; mk random 1 8; mk urandom 1 9; mk tty 5 0
mkdir $root/dev/pts $root/dev/shm $root/dev/mqueue
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts $root/dev/pts
ln -s pts/ptmx $root/dev/ptmx
ln -s /proc/self/fd $root/dev/fd
ln -s /proc/self/fd/0 $root/dev/stdin; ln -s /proc/self/fd/1 $root/dev/stdout; ln -s /proc/self/fd/2 $root/dev/stderr
mount -t tmpfs -o mode=1777 shm $root/dev/shm
mount -t mqueue mqueue $root/dev/mqueue
mount -t sysfs -o ro sysfs $root/sys 2>/dev/null || mount --rbind /sys $root/sys
mount -t tmpfs -o mode=1777 tmp $root/tmp
mount -t tmpfs -o mode=755 run $root/run
mkdir -p $root/cases
mount --bind "$CASES" $root/cases
hostname apps
ip link set lo up
ulimit -Sn 1024; [ $(ulimit -Hn) -le 65536 ] || ulimit -Hn 65536
exec env -i "$@"
"""


class Runtime:
    """How to run a case: `native`, or a runtime's binary."""

    def __init__(self, name, path=None, args=()):
        self.name, self.path, self.args = name, path, list(args)
        self.native, self.ours = name == "native", False
        self.overlay = self.native or name == "runc"  # needs an overlay made outside
        if name == "gvisor":
            self.args += ["--platform=ptrace", "--network=none", "--ignore-cgroups", "--overlay2=root:memory"]
        elif not self.overlay:
            self.ours = True


def overlay(rootfs, work):
    """Mounts rootfs with a fresh memory layer above it; the harness runs in a mount namespace of its own."""
    up = os.path.join(work, "upper")
    os.makedirs(up, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", up], check=True)
    for d in ("u", "w", "m"):
        os.mkdir(os.path.join(up, d))
    subprocess.run(["mount", "-t", "overlay", "-o", "lowerdir=%s,upperdir=%s/u,workdir=%s/w" % (rootfs, up, up), "overlay",
                    up + "/m"], check=True)
    return up + "/m"


class Run:
    """One run of one command: a container and those restored from it."""

    def __init__(self, runtime, rootfs, name, argv, work, timeout, debug=False):
        self.rt, self.rootfs, self.name, self.argv, self.work = runtime, rootfs, name, argv, work
        self.debug = debug
        self.out = os.path.join(work, "out")
        self.state = os.path.join(work, "state")
        self.bundle = os.path.join(work, "bundle")
        self.generation, self.id, self.proc = 0, None, None
        self.checkpoints = 0
        self.upper = None
        os.makedirs(self.bundle, exist_ok=True)
        self.deadline = time.monotonic() + timeout
        self.timeout = timeout

    # -- pieces

    def command(self, *verb):
        cmd = [self.rt.path, "--root", self.state] + self.rt.args
        if self.debug and self.rt.ours:
            cmd += ["--debug", "--debug-log", os.path.join(self.work, "log/")]
        return cmd + list(verb)

    def spawn(self, cmd):
        with open(self.out, "ab") as out:
            self.proc = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                         start_new_session=True, cwd="/", env=dict(os.environ, CASES=CASES))

    def next_id(self):
        self.generation += 1
        self.id = "a%d-%s-%d" % (os.getpid(), re.sub(r"[^\w-]", "-", self.name), self.generation)
        return self.id

    def start(self):
        root = self.rootfs
        if self.rt.overlay:
            root = overlay(self.rootfs, self.work)
            self.upper = os.path.dirname(root)
        if self.rt.native:
            env = ["%s=%s" % kv for kv in ENV.items()]
            self.spawn(["unshare", "-p", "-f", "-m", "-i", "-u", "-n", "--kill-child", "sh", "-c", NATIVE, "native", root, *env,
                        "chroot", root, "sh", "-c", "cd /root && exec \"$@\"", "sh", *self.argv])
            return
        with open(os.path.join(self.bundle, "config.json"), "w") as f:
            json.dump(config(root, self.argv), f, indent=1)
        self.spawn(self.command("run", "--bundle", self.bundle, self.next_id()))

    def call(self, *verb):
        try:
            r = subprocess.run(self.command(*verb), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               timeout=max(5, self.deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Failed("`%s %s` timed out" % (self.rt.name, verb[0]))
        if r.returncode != 0:
            raise Failed("`%s %s` failed (%d): %s" % (self.rt.name, verb[0], r.returncode,
                                                      r.stdout.decode("utf-8", "replace")[-1000:].strip()))

    def wake(self, how, flags, rng):
        """The ways of mode `mixed`: a compressed image, a chain of incremental ones, a stream; pages read in the background or not."""
        image = os.path.join(self.work, "image.%d" % self.generation)
        background = ["--background"] if rng.random() < float(os.environ.get("BG", "0.3")) else []
        if how == "stream":
            return self.stream(background)
        parent = []
        if how == "chain":
            last = os.path.join(self.work, "image.%d" % (self.generation - 1))
            before = ["--parent-path", "../" + os.path.basename(last)] if os.path.isdir(last) else []
            self.call("checkpoint", "--image-path", image + ".pre", "--pre-dump", "--compression", rng.choice(["none", "zstd"]), *before, self.id)
            time.sleep(rng.uniform(0, 0.1))
            parent = ["--parent-path", "../" + os.path.basename(image) + ".pre"]
        self.call("checkpoint", "--image-path", image, *parent, *flags, self.id)
        self.ended()
        self.spawn(self.command("restore", "--image-path", image, "--bundle", self.bundle, *background, self.next_id()))

    def ended(self):
        try:
            self.proc.wait(30)
        except subprocess.TimeoutExpired:
            raise Failed("the container goes on after its checkpoint")
        self.call("delete", "--force", self.id)

    def stream(self, flags):
        sender = subprocess.Popen(self.command("checkpoint", "--image-path", "-", self.id), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        old, old_id = self.proc, self.id
        with open(self.out, "ab") as out:
            self.proc = subprocess.Popen(self.command("restore", "--image-path", "-", "--bundle", self.bundle, *flags, self.next_id()), stdin=sender.stdout,
                                         stdout=out, stderr=subprocess.STDOUT, start_new_session=True, cwd="/", env=dict(os.environ, CASES=CASES))
        sender.stdout.close()
        try:
            err = sender.communicate(timeout=max(5, self.deadline - time.monotonic()))[1]
        except subprocess.TimeoutExpired:
            sender.kill()
            raise Failed("`checkpoint` into a stream timed out")
        if sender.returncode != 0:
            self.proc.wait(30)
            self.proc, self.id = old, old_id
            if old.poll() is not None:  # it ended by itself: what the receiver said of that is not its output
                text = open(self.out, "rb").read()
                with open(self.out, "wb") as out:
                    out.write(b"".join(l for l in text.splitlines(True) if not l.startswith(b"runsc: restore: standard input: ")))
            raise Failed("`checkpoint` into a stream failed: %s" % err.decode("utf-8", "replace")[-1000:])
        old.wait(30)
        self.call("delete", "--force", old_id)

    def checkpoint(self, leave_running=False, mixed=None):
        """Freezes the container into an image; unless it shall go on, wakes it in a new sandbox under a new id."""
        if mixed:
            how = mixed.choice(os.environ.get("MIXED", "plain zstd chain chain stream").split())
            self.wake(how, ["--compression", "zstd"] if how == "zstd" else [], mixed)
            self.checkpoints += 1
            return
        image = os.path.join(self.work, "image.%d" % self.generation)
        shutil.rmtree(image, ignore_errors=True)
        os.mkdir(image)
        if leave_running:
            self.call("checkpoint", "--image-path", image, "--leave-running", self.id)
            shutil.rmtree(image)
        else:
            self.call("checkpoint", "--image-path", image, self.id)
            self.ended()
            self.spawn(self.command("restore", "--image-path", image, "--bundle", self.bundle, self.next_id()))
            shutil.rmtree(os.path.join(self.work, "image.%d" % (self.generation - 2)), ignore_errors=True)
        self.checkpoints += 1

    # -- whole runs

    def wait(self):
        """Waits for the end; returns the exit status."""
        try:
            return self.proc.wait(max(0.1, self.deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Failed("did not end in %d s" % self.timeout)

    def wait_random(self, rng, times, spread, leave_running=False, mixed=False):
        """Checkpoints at random moments, at most so many times, with gaps of up to `spread` seconds; then as wait()."""
        for _ in range(times):
            pause = min(rng.uniform(0.02, spread), max(0.1, self.deadline - time.monotonic()))
            try:
                self.proc.wait(pause)
                break
            except subprocess.TimeoutExpired:
                pass
            for last in (False, True):
                try:
                    self.checkpoint(leave_running, rng if mixed else None)
                    break
                except Failed as e:
                    # It may have ended by itself while we asked (its own result then counts), or not have begun.
                    try:
                        self.proc.wait(1 if last else 0.3)
                        return self.proc.returncode
                    except subprocess.TimeoutExpired:
                        if last or (" is creat" not in str(e) and " does not exist" not in str(e)):
                            raise e
        return self.wait()

    def destroy(self):
        if self.proc and self.proc.poll() is None:
            if not self.rt.native:
                try:
                    subprocess.run(self.command("kill", self.id, "KILL"), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20)
                    self.proc.wait(10)
                except subprocess.TimeoutExpired:
                    pass
            try:
                os.killpg(self.proc.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.proc.wait()
        if self.id:
            try:
                subprocess.run(self.command("delete", "--force", self.id), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, timeout=20)
            except subprocess.TimeoutExpired:
                pass
        if self.upper:
            subprocess.run(["umount", "-l", self.upper + "/m"], stderr=subprocess.DEVNULL)
            subprocess.run(["umount", "-l", self.upper], stderr=subprocess.DEVNULL)

    def output(self):
        try:
            with open(self.out, "rb") as f:
                return f.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""


def private_mounts():
    """Puts this process into a mount namespace of its own, so that overlays vanish with it, however it ends."""
    if os.geteuid():
        raise SystemExit("must run as root: it makes namespaces and mounts")
    if os.environ.get("APPS_PRIVATE") != str(os.getpid()):
        import sys
        os.environ["APPS_PRIVATE"] = str(os.getpid())  # exec keeps the pid
        os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, *sys.argv])
