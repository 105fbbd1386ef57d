# SPDX-License-Identifier: Apache-2.0
"""Runs a command of runsc and lets one of its processes die, or one of its system calls fail, at a chosen system call.

A small ptrace client of its own rather than strace: it finds the sandbox and the gofer among the children of a command by their names,
and it must leave the sandbox's own ptrace children alone. All functions are to be called from one thread.
"""
import ctypes, os, signal, struct, time

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
libc.syscall.restype = ctypes.c_long

TRACEME, CONT, DETACH, SYSCALL, SETOPTIONS, SEIZE, INTERRUPT = 0, 7, 17, 24, 0x4200, 0x4206, 0x4207
GET_SYSCALL_INFO, GETEVENTMSG, PEEKUSER, POKEUSER = 0x420e, 0x4201, 3, 6
SYSGOOD, FORK, VFORK, CLONE, EXEC = 1, 2, 4, 8, 16
EVENT_EXEC, EVENT_STOP = 4, 128
RAX, ORIG_RAX = 10 * 8, 15 * 8
WALL = 0x40000000


def nr_of_names():
    """System call numbers by name, of this machine's headers."""
    names = {}
    for path in ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"):
        if os.path.exists(path):
            for line in open(path):
                w = line.split()
                if len(w) == 3 and w[1].startswith("__NR_"):
                    names[w[1][5:]] = int(w[2])
            break
    return names


NR = nr_of_names()
NAME = {v: k for k, v in NR.items()}


def ptrace(req, pid, addr=0, data=0):
    ctypes.set_errno(0)
    r = libc.ptrace(req, pid, addr, data)
    if r < 0 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), "ptrace %#x of %d" % (req, pid))
    return r


def syscall_info(pid):
    """("entry", nr, first argument) or ("exit", value, 0)."""
    buf = ctypes.create_string_buffer(88)
    ptrace(GET_SYSCALL_INFO, pid, 88, ctypes.cast(buf, ctypes.c_void_p).value)
    value, arg = struct.unpack_from("<qQ", buf.raw, 24)
    return ("entry", value, arg) if buf.raw[0] == 1 else ("exit", value, 0)


class Plan:
    """What is to happen at the @at-th system call (from 0; None: nothing), of those in @names when given, and on files whose path
    contains @path when given: "kill" or a negative errno.
    Afterwards: @seen has the names of all calls that counted, @done says whether it happened and @where at which call."""

    def __init__(self, at=None, what="kill", names=None, path=None):
        self.path = path
        self.at, self.what, self.names = at, what, {NR[n] for n in names if n in NR} if names else None
        self.seen, self.done, self.where = [], False, None
        self.failing = None  # the thread that is in the call that fails

    def stop(self, pid, tid):
        """At a system call's entry or exit."""
        try:
            kind, nr, arg = syscall_info(tid)
            if kind == "entry":
                if (self.names is None or nr in self.names) and (not self.path or self.path in os.readlink("/proc/%d/fd/%d" % (pid, arg))):
                    self.entry(pid, tid, nr)
            elif tid == self.failing:
                self.failing = None
                ptrace(POKEUSER, tid, RAX, 2 ** 64 + self.what)
        except (ProcessLookupError, FileNotFoundError):
            pass  # killed; no such descriptor

    def entry(self, pid, tid, nr):
        self.seen.append(NAME.get(nr, str(nr)))
        if self.done or self.at is None or len(self.seen) - 1 != self.at:
            return
        self.done, self.where = True, self.seen[-1]
        if self.what == "kill":
            os.kill(pid, signal.SIGKILL)
            return
        self.failing = tid
        ptrace(POKEUSER, tid, ORIG_RAX, NR["gettid"])  # a number that no filter objects to


def role(pid):
    try:
        title = open("/proc/%d/cmdline" % pid, "rb").read().split(b"\0")[0]
    except OSError:
        return None
    return {b"runsc-sandbox": "sandbox", b"runsc-gofer": "gofer"}.get(title.split(b":")[0])


def go(req, pid, sig=0):
    try:
        ptrace(req, pid, 0, sig)
    except OSError:
        pass  # killed meanwhile


def run(cmd, who, plan, stdin=None, stdout=None, limit=30, **kw):
    """Runs @cmd (its stdout and stderr go to the file @stdout), stepping "command", "sandbox" or "gofer" (main threads) through their
    system calls. Returns the command's wait status; a process that lives on is let go."""
    child = os.fork()
    if child == 0:
        try:
            fd = os.open(stdin or "/dev/null", os.O_RDONLY)
            os.dup2(fd, 0)
            fd = os.open(stdout, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(fd, 1)
            os.dup2(fd, 2)
            os.closerange(3, 100)
            libc.ptrace(TRACEME, 0, 0, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
            os.execv(cmd[0], cmd)
        finally:
            os._exit(126)
    os.waitpid(child, WALL)
    target = child if who == "command" else None
    follow = 0 if target else FORK | VFORK | CLONE
    ptrace(SETOPTIONS, child, 0, SYSGOOD | EXEC | follow)
    go(CONT, child)
    traced, stepping, status = {child}, False, None
    end = time.monotonic() + limit
    while child in traced or (target in traced and not stepping):
        pid, st = wait(traced, end)
        if pid is None:
            for p in (child, target):
                if p:
                    os.kill(p, signal.SIGKILL)
            raise AssertionError("%s hangs (%s at call %s)" % (cmd[1:], plan.where, plan.at))
        if os.WIFEXITED(st) or os.WIFSIGNALED(st):
            traced.discard(pid)
            if pid == child:
                status = st
            continue
        traced.add(pid)
        sig, event = os.WSTOPSIG(st), st >> 16
        if event == EVENT_EXEC:
            is_target = pid == target or (who != "command" and role(pid) == who)
            if is_target:
                target, stepping = pid, True
                ptrace(SETOPTIONS, pid, 0, SYSGOOD)  # its children are its own business
                go(SYSCALL, pid)
            elif pid == child or role(pid) is None:
                go(CONT, pid)
            else:
                traced.discard(pid)
                go(DETACH, pid)
        elif event:
            go(CONT, pid)
        elif sig == signal.SIGTRAP | 0x80:
            plan.stop(pid, pid)
            if plan.done and plan.what != "kill" and plan.failing is None and pid != child:
                traced.discard(pid)
                go(DETACH, pid)
            else:
                go(SYSCALL, pid)
        elif sig == signal.SIGSTOP and pid not in (child, target):
            go(CONT, pid)  # an auto-attached child's first stop
        else:
            go(SYSCALL if pid == target and stepping else CONT, pid, sig)
    for p in traced - {child}:
        release(p)
    return status


def wait(traced, end):
    """Any of our tracees or children; polled, since ours may be waited for with a limit."""
    delay = 0.00002
    while time.monotonic() < end:
        for pid in list(traced):
            try:
                got, st = os.waitpid(pid, WALL | os.WNOHANG)
            except ChildProcessError:
                traced.discard(pid)
                return pid, 0
            if got:
                return got, st
        got = None
        try:
            got, st = os.waitpid(-1, WALL | os.WNOHANG)
        except ChildProcessError:
            pass
        if got:
            return got, st
        time.sleep(delay)
        delay = min(delay * 2, 0.001)
    return None, 0


def release(tid):
    """Lets a tracee go, wherever it is."""
    try:
        ptrace(DETACH, tid)
        return
    except OSError:
        pass
    try:
        os.kill(tid, signal.SIGSTOP)
        while True:
            got, st = os.waitpid(tid, WALL)
            if not os.WIFSTOPPED(st):
                return
            sig = os.WSTOPSIG(st)
            if sig == signal.SIGSTOP:
                ptrace(DETACH, tid)
                return
            go(CONT, tid, 0 if sig & 0x80 or sig == signal.SIGTRAP else sig)
    except (OSError, ChildProcessError):
        pass


class Attached:
    """All threads of a running process, stepped while a command works on it: with Attached(pid, plan) as a: a.until(popen)."""

    def __init__(self, pid, plan):
        self.pid, self.plan, self.threads = pid, plan, set()

    def __enter__(self):
        todo = True
        while todo:
            todo = False
            for t in map(int, os.listdir("/proc/%d/task" % self.pid)):
                if t in self.threads:
                    continue
                todo = True
                try:
                    ptrace(SEIZE, t, 0, SYSGOOD | CLONE)
                    ptrace(INTERRUPT, t)
                except OSError:
                    continue  # it has ended
                self.threads.add(t)
        return self

    def until(self, done, limit=30):
        end = time.monotonic() + limit
        while not done():
            if time.monotonic() > end:
                raise AssertionError("hangs (%s at call %s)" % (self.plan.where, self.plan.at))
            if not self.step():
                time.sleep(0.00005)

    def step(self):
        moved = False
        for t in list(self.threads):
            try:
                got, st = os.waitpid(t, WALL | os.WNOHANG)
            except ChildProcessError:
                self.threads.discard(t)
                continue
            if not got:
                continue
            moved = True
            self.stopped(t, st)
        return moved

    def stopped(self, t, st):
        if not os.WIFSTOPPED(st):
            self.threads.discard(t)
            return
        sig, event = os.WSTOPSIG(st), st >> 16
        if event == EVENT_STOP:
            go(SYSCALL, t)
        elif event:
            if event == 3:  # a new thread; anything else would be a stub, which is not ours
                msg = ctypes.c_ulong()
                ptrace(GETEVENTMSG, t, 0, ctypes.addressof(msg))
                if os.path.exists("/proc/%d/task/%d" % (self.pid, msg.value)):
                    self.threads.add(msg.value)
            go(SYSCALL, t)
        elif sig == signal.SIGTRAP | 0x80:
            self.plan.stop(self.pid, t)
            go(SYSCALL, t)
        else:
            go(SYSCALL, t, sig)

    def __exit__(self, *args):
        for t in list(self.threads):
            try:
                ptrace(INTERRUPT, t)
            except OSError:
                continue
            end = time.monotonic() + 5
            while time.monotonic() < end:
                try:
                    got, st = os.waitpid(t, WALL | os.WNOHANG)
                except ChildProcessError:
                    break
                if not got:
                    time.sleep(0.00005)
                elif not os.WIFSTOPPED(st):
                    break
                else:
                    sig = os.WSTOPSIG(st)
                    if sig == signal.SIGTRAP | 0x80:
                        self.plan.stop(self.pid, t)
                    go(DETACH, t, 0 if sig & 0x80 or sig == signal.SIGTRAP or st >> 16 else sig)
                    break
        return False
