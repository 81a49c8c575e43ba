"""What the stand-ins for PBS and Flux share: jobs as real processes, each watched by a process of its
own, with state in a folder per job below the root. Each file is written by rename.

What differs between batch systems is in subclasses of `Job`: when a job may start, its environment,
which signals it gets at which time, and what follows from its end.
"""

import json
import os
import signal
import subprocess
import sys
import time


class Store:
    """The folders of all jobs of one batch system, and of nothing else."""

    def __init__(self, root):
        self.root = root

    def path(self, job, name):
        return os.path.join(self.root, str(job), name)

    def write(self, job, name, value):
        beside = self.path(job, f".{name}.{os.getpid()}")
        with open(beside, "w") as out:
            json.dump(value, out)
        os.rename(beside, self.path(job, name))

    def read(self, job, name, default=None):
        try:
            with open(self.path(job, name)) as text:
                return json.load(text)
        except (FileNotFoundError, NotADirectoryError):
            return default

    def numbers(self):
        return sorted((int(n) for n in os.listdir(self.root) if n.isdigit()))

    def create(self, spec, script):
        number = 101
        while True:
            try:
                os.makedirs(self.path(number, ""))
                break
            except FileExistsError:
                number += 1
        with open(self.path(number, "script"), "w") as out:
            out.write(script)
        os.chmod(self.path(number, "script"), 0o700)
        self.write(number, "spec", spec)
        return number

    def watch(self, number, program):
        """Starts the process that watches a job, which must have a state."""
        log = open(self.path(number, "daemon.log"), "a")
        subprocess.Popen([sys.executable, program, "daemon", str(number)], start_new_session=True,
                         stdin=subprocess.DEVNULL, stdout=log, stderr=log)


class Job:
    """One job, from its queue to its end; the only writer of its state."""

    # What it may be asked for while it waits, and what then becomes of it.
    requeued_seconds = 1.0

    def __init__(self, store, number):
        self.store = store
        self.number = number
        self.spec = store.read(number, "spec")
        self.runs = 0

    def say(self, state, **more):
        self.store.write(self.number, "state", {"state": state, "runs": self.runs, **more})

    def asked(self):
        wish = self.store.read(self.number, "request")
        if wish:
            os.remove(self.store.path(self.number, "request"))
        return wish

    def live(self):
        if self.pend(0):
            while self.run():
                if not self.pend(self.requeued_seconds):
                    return

    def pend(self, seconds):
        """Waits in the queue; returns whether the job may start."""
        began = time.monotonic()
        while True:
            wish = self.asked()
            if wish == "cancel":
                self.cancelled_in_queue()
                return False
            self.queue_wish(wish)
            if self.may_start() and time.monotonic() >= began + seconds:
                return True
            time.sleep(0.05)

    def start(self):
        self.runs += 1
        self.since, self.frozen = time.time(), 0.0
        self.ranks_file = self.store.path(self.number, "ranks")
        open(self.ranks_file, "w").close()
        with open(self.store.path(self.number, "printed"), "ab") as output:
            self.script = subprocess.Popen(
                self.command(), cwd=self.folder(), env=self.environment(), stdin=subprocess.DEVNULL,
                stdout=self.output() or output, stderr=subprocess.STDOUT, start_new_session=True)

    def output(self):
        return None

    def used(self):
        """Walltime in seconds; a suspended job uses none."""
        return time.time() - self.since - self.frozen

    def session(self):
        """Processes of the script on the first host."""
        for process in os.listdir("/proc"):
            try:
                if process.isdigit() and os.getsid(int(process)) == self.script.pid:
                    yield int(process)
            except (ProcessLookupError, PermissionError):
                pass

    def ranks(self):
        """Processes on other hosts, with all that they started."""
        with open(self.ranks_file) as lines:
            leaders = {int(line) for line in lines if line.strip().isdigit()}
        for process in os.listdir("/proc"):
            try:
                if process.isdigit() and os.getsid(int(process)) in leaders:
                    yield int(process)
            except (ProcessLookupError, PermissionError):
                pass

    def signal(self, name, processes):
        for process in list(processes):
            try:
                os.kill(process, getattr(signal, f"SIG{name}"))
            except (ProcessLookupError, PermissionError):
                pass

    def everywhere(self):
        return [*self.session(), *self.ranks()]

    def clean(self):
        """Ends what is left of a job that ended."""
        self.signal("CONT", self.everywhere())
        self.signal("KILL", self.everywhere())


def launch(store, number, command, count, environment, one_for_all):
    """Starts ranks as if on other hosts, and returns the highest status.

    They are out of reach of signals to the script's session, and are left behind by a launcher that
    is killed. `one_for_all`: if one fails, all are ended."""
    ranks = [subprocess.Popen(command, start_new_session=True, env={**os.environ, **environment(rank)})
             for rank in range(count)]
    with open(store.path(number, "ranks"), "a") as out:
        out.writelines(f"{rank.pid}\n" for rank in ranks)

    def end(*_):
        for rank in ranks:
            try:
                os.killpg(rank.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass

    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, end)
    while any(rank.poll() is None for rank in ranks):
        if one_for_all and any(rank.poll() for rank in ranks):
            end()
        time.sleep(0.05)
    return max(code if code >= 0 else 128 - code for code in (rank.returncode for rank in ranks))
