"""A stand-in for LSF as IBM documents it, for tests: `bsub`, `bjobs`, `bkill`, `bstop`, `bresume`,
`brequeue`, `jsrun`.

Jobs are real processes that get the real sequences of signals, with shortened times. What LSF
refuses is refused: unknown options, `-W` with seconds, `bsub < SCRIPT` where nodes are given out
whole. What a job prints comes into its `-o` file at its end, behind a report with a copy of the
script. State is a folder per job below $LSF_STANDIN; each file is written by rename.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

ROOT = os.environ.get("LSF_STANDIN", "")
# What a minute of a run limit, ten minutes of grace and ten seconds between signals last here.
MINUTE = float(os.environ.get("LSF_STANDIN_MINUTE", "60"))
GRACE = float(os.environ.get("LSF_STANDIN_GRACE", "600"))
INTERVAL = float(os.environ.get("LSF_STANDIN_INTERVAL", "10"))
# How long a requeued job waits.
REQUEUED = float(os.environ.get("LSF_STANDIN_REQUEUED", INTERVAL / 10))
# `whole-nodes` (CSM, as on Summit) or `slots`.
LAYOUT = os.environ.get("LSF_STANDIN_LAYOUT", "whole-nodes")
CORES = int(os.environ.get("LSF_STANDIN_CORES", "2"))

WITH_VALUE = {"J", "W", "P", "q", "U", "o", "e", "w", "wt", "wa", "nnodes", "alloc_flags", "n", "R", "Q"}
WITHOUT = {"r", "rn", "x"}


def refuse(message):
    print(f"{message}. Job not submitted.", file=sys.stderr)
    sys.exit(255)


def path(job, name):
    return os.path.join(ROOT, str(job), name)


def write(job, name, value):
    beside = path(job, f".{name}.{os.getpid()}")
    with open(beside, "w") as out:
        json.dump(value, out)
    os.rename(beside, path(job, name))


def read(job, name, default=None):
    try:
        with open(path(job, name)) as text:
            return json.load(text)
    except FileNotFoundError:
        return default


def minutes(text, what):
    match = re.fullmatch(r"(?:(\d+):)?(\d+)", text)
    if not match:
        refuse(f"{text}: Bad {what} specification")
    return int(match[1] or 0) * 60 + int(match[2])


def parse_submission(arguments):
    options, rest = {}, list(arguments)
    while rest and rest[0].startswith("-"):
        name = rest.pop(0)[1:]
        if name in WITHOUT:
            options[name] = True
        elif name in WITH_VALUE:
            if not rest:
                refuse(f"-{name}: option requires an argument")
            if name in options:
                refuse(f"-{name}: option cannot be given twice")
            options[name] = rest.pop(0)
        else:
            refuse(f"-{name}: Illegal option")
    return options, rest


def directives(text):
    """The words of `#BSUB` lines, wherever they are."""
    return [word for line in text.splitlines() if line.startswith("#BSUB ") for word in shlex.split(line[6:])]


def bsub(arguments):
    given, rest = parse_submission(arguments)
    if LAYOUT == "whole-nodes":
        if not rest:
            refuse("Empty job: `bsub < script` does not work here, use `bsub script`")
        text = open(rest[0]).read()
    else:
        if rest:
            refuse("Submit the script on standard input")
        text = sys.stdin.read()
    options, words = parse_submission(directives(text))
    if words:
        refuse(f"{words[0]}: not an option")
    # The command line takes precedence.
    options.update(given)
    if LAYOUT == "whole-nodes":
        if "n" in options or "nnodes" not in options:
            refuse("Request nodes by -nnodes")
        nodes = int(options["nnodes"])
    else:
        if "nnodes" in options or "alloc_flags" in options:
            refuse("-nnodes: only with CSM")
        nodes = int(options["n"]) // CORES
    if not text.startswith("#!"):
        refuse("The script must begin with #!")
    if ("wt" in options) != ("wa" in options):
        refuse("-wt and -wa must be given together")
    limit = minutes(options.get("W", "10"), "run limit")
    warning = minutes(options["wt"], "warning time") if "wt" in options else None
    after = options.get("w")
    if after:
        match = re.fullmatch(r"ended\((\d+)\)", after)
        if not match or read(match[1], "state") is None:
            refuse(f"{after}: Invalid dependency condition")
        after = match[1]
    number = 101
    while True:
        try:
            os.makedirs(path(number, ""))
            break
        except FileExistsError:
            number += 1
    with open(path(number, "script"), "w") as out:
        out.write(text)
    write(number, "spec", {
        "name": options.get("J"), "nodes": nodes, "limit": limit, "warning": warning, "action": options.get("wa"),
        "after": after, "output": options.get("o"), "requeue": options.get("Q"),
        "environment": dict(os.environ), "folder": os.getcwd(),
    })
    write(number, "state", {"stat": "PEND", "exit": "-", "reason": "-", "runs": 0})
    subprocess.Popen(
        [sys.executable, os.path.abspath(__file__), "daemon", str(number)],
        start_new_session=True, stdin=subprocess.DEVNULL,
        stdout=open(path(number, "daemon.log"), "a"), stderr=subprocess.STDOUT,
    )
    if os.environ.get("BSUB_QUIET") or os.environ.get("LSF_STANDIN_SILENT"):
        return
    queue = options.get("q")
    print(f"Job <{number}> is submitted to " + (f"queue <{queue}>." if queue else "default queue <normal>."))


class Job:
    """One job, from its queue to its end; the only writer of its state."""

    def __init__(self, number):
        self.number = number
        self.spec = read(number, "spec")
        self.runs = 0

    def say(self, stat, code="-", reason="-", **more):
        write(self.number, "state", {"stat": stat, "exit": code, "reason": reason,
                                     "runs": self.runs, "limit": self.spec["limit"], **more})

    def request(self):
        asked = read(self.number, "request")
        if asked:
            os.remove(path(self.number, "request"))
        return asked

    def live(self):
        if not self.pend(0):
            return
        while self.run():
            self.say("PEND")
            if not self.pend(REQUEUED):
                return

    def pend(self, seconds):
        """Waits in the queue; returns whether the job may start."""
        began, held = time.monotonic(), False
        while held or self.waits() or time.monotonic() < began + seconds:
            asked = self.request()
            if asked == "kill":
                self.say("EXIT", "130", "TERM_OWNER: job killed by owner")
                return False
            if asked in ("stop", "resume"):
                held = asked == "stop"
                self.say("PSUSP" if held else "PEND")
            time.sleep(0.05)
        return True

    def waits(self):
        after = self.spec["after"]
        return after and read(after, "state")["stat"] not in ("DONE", "EXIT")

    def environment(self):
        nodes = " ".join(f"c{n + 1} {CORES}" for n in range(self.spec["nodes"]))
        hosts = f"batch1 1 {nodes}" if LAYOUT == "whole-nodes" else nodes
        return {**self.spec["environment"], "LSB_JOBID": str(self.number), "LSB_MCPU_HOSTS": hosts}

    def run(self):
        self.runs += 1
        output = open(path(self.number, "printed"), "wb")
        script = subprocess.Popen(
            ["/bin/bash", path(self.number, "script")], cwd=self.spec["folder"],
            env=self.environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )
        began, since = time.monotonic(), time.time()
        self.say("RUN", began=since)
        # What is to be sent when; the rest of a sequence follows its beginning.
        plan, why = [], None
        limit = began + self.spec["limit"] * MINUTE
        if self.spec["warning"]:
            plan.append((limit - self.spec["warning"] * MINUTE, self.spec["action"]))
        plan.append((limit, "USR2"))
        plan += [(limit + GRACE + i * INTERVAL, s) for i, s in enumerate(["INT", "TERM", "KILL"])]
        while script.poll() is None:
            now = time.monotonic()
            asked = self.request()
            if asked in ("stop", "resume"):
                self.signal(script, "STOP" if asked == "stop" else "CONT")
                self.say("USUSP" if asked == "stop" else "RUN", began=since)
            elif asked and why is None:
                why = asked
                plan = [(now + i * INTERVAL, s) for i, s in enumerate(["INT", "TERM", "KILL"])]
            while plan and plan[0][0] <= now:
                name = plan.pop(0)[1]
                if name == "USR2" and why is None:
                    why = "limit"
                self.signal(script, name)
            time.sleep(0.05)
        code = script.returncode
        output.close()
        self.report(code)
        # LSF requeues by exit codes, never by signals.
        if why == "requeue" or (code >= 0 and why != "kill" and str(code) in (self.spec["requeue"] or "").split()):
            return True
        # What is left of it on the first host.
        self.signal(script, "KILL")
        shown = "-" if code == 0 else str(code if code > 0 else 128 - code)
        reason = {"kill": "TERM_OWNER: job killed by owner",
                  "limit": "TERM_RUNLIMIT: job killed after reaching LSF run time limit"}.get(why, "-")
        self.say("DONE" if code == 0 else "EXIT", shown, "-" if code == 0 else reason,
                 began=since, ended=time.time())
        return False

    def signal(self, script, name):
        """Sends to all processes of the job on the first host; ranks are elsewhere."""
        for process in os.listdir("/proc"):
            try:
                if process.isdigit() and os.getsid(int(process)) == script.pid:
                    os.kill(int(process), getattr(signal, f"SIG{name}"))
            except (ProcessLookupError, PermissionError):
                pass

    def report(self, code):
        """Appends the report and what was printed to the `-o` file."""
        if not self.spec["output"]:
            return
        rule = "-" * 60
        how = "Successfully completed." if code == 0 else f"Exited with exit code {code}."
        with open(self.spec["output"].replace("%J", str(self.number)), "a") as out:
            out.write(f"{rule}\nSender: LSF System <lsf@c1>\n"
                      f"Subject: Job {self.number}: <{self.spec['name']}> in cluster <c> Done\n\n"
                      f"Your job looked like:\n\n{rule}\n# LSBATCH: User input\n")
            out.write(open(path(self.number, "script")).read())
            out.write(f"\n{rule}\n\n{how}\n\nThe output (if any) follows:\n\n")
            out.write(open(path(self.number, "printed"), errors="replace").read())


def bjobs(arguments):
    rest = list(arguments)
    fields, name, status = None, None, 0
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "-o":
            fields = rest.pop(0)
        elif option == "-J":
            name = rest.pop(0)
        elif option not in ("-noheader", "-a"):
            print(f"bjobs: illegal option {option}", file=sys.stderr)
            sys.exit(255)
    words = fields.split()
    if words.pop() != "delimiter='|'":
        sys.exit("bjobs: only with a delimiter")
    if name:
        rest = [n for n in sorted(os.listdir(ROOT), key=int) if read(n, "spec")["name"] == name]
        if not rest:
            print(f"Job <{name}> is not found", file=sys.stderr)
            sys.exit(255)
    for number in rest:
        state = read(number, "state")
        if state is None:
            # As LSF does: the rows of the others are good.
            print(f"Job <{number}> is not found", file=sys.stderr)
            status = 255
            continue
        until = state.get("ended", time.time())
        known = {"jobid": number, "stat": state["stat"], "exit_code": state["exit"],
                 "runtimelimit": f"{state.get('limit', 0)}.0",
                 "run_time": f"{int((until - state.get('began', until)) / MINUTE * 60)} second(s)",
                 "output_file": read(number, "spec")["output"] or "-",
                 "exit_reason": state["reason"], "pend_reason": "-"}
        print("|".join(known[word] for word in words))
    sys.exit(status)


def ask(word):
    def verb(arguments):
        for number in arguments:
            if not number.isdigit() or number == "0":
                print(f"{number}: Illegal job ID.", file=sys.stderr)
                sys.exit(255)
            state = read(number, "state")
            if state is None or state["stat"] in ("DONE", "EXIT"):
                print(f"Job <{number}>: Job has already finished", file=sys.stderr)
                sys.exit(255)
            write(number, "request", word)
            print(f"Job <{number}> is being {DOING[word]}")
    return verb


DOING = {"kill": "terminated", "requeue": "requeued", "stop": "stopped", "resume": "resumed"}


def jsrun(arguments):
    rest, options = list(arguments), {}
    while rest and rest[0].startswith("-"):
        name = rest.pop(0)
        if name not in ("-n", "-r", "-a", "-c", "-b", "-g"):
            sys.exit(f"jsrun: unknown option {name}")
        options[name] = rest.pop(0)
    hosts = os.environ["LSB_MCPU_HOSTS"].split()[2::2]
    sets = int(options.get("-n", 1))
    if sets > len(hosts) * int(options.get("-r", sets)):
        sys.exit("jsrun: more resource sets than the allocation has")
    # On other hosts: out of reach of the job's signals, and left behind when the client is killed.
    ranks = [subprocess.Popen(rest, start_new_session=True,
                              env={**os.environ, "PMIX_RANK": str(rank), "JSM_NAMESPACE_RANK": str(rank),
                                   "JSM_NAMESPACE_SIZE": str(sets)})
             for rank in range(sets)]
    codes = [rank.wait() for rank in ranks]
    sys.exit(max(code if code >= 0 else 128 - code for code in codes))


VERBS = {"bsub": bsub, "bjobs": bjobs, "bkill": ask("kill"), "brequeue": ask("requeue"),
         "bstop": ask("stop"), "bresume": ask("resume"),
         "jsrun": jsrun, "daemon": lambda arguments: Job(arguments[0]).live()}

if __name__ == "__main__":
    VERBS[sys.argv[1]](sys.argv[2:])
