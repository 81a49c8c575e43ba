"""A stand-in for Flux as flux-core documents it, for tests: `flux batch`, `jobs`, `cancel`, `run`,
`getattr`, `job info`.

A job of `flux batch` has an instance of its own: in its script FLUX_URI is that of the instance, no
variable of the instance around it is set, and commands reach the outer one only through the address
that `flux getattr parent-uri` prints. Jobs are real processes that get the real sequences of signals:
the warning to the script's process group and to the jobs that it started; at the end of the walltime
and by `flux cancel` HUP to the script's process group, TERM to its jobs, and KILL to all 5 s later.
What Flux refuses is refused: unknown options, directives that are not in one block, dependencies on
unknown ids.
"""

import os
import re
import shlex
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import jobs  # noqa: E402

SYSTEM = "local:///run/flux/local"
STORE = jobs.Store(os.environ.get("FLUX_STANDIN", ""))
KILL_TIMEOUT = 5.0
LONG = {"job-name", "nodes", "time-limit", "queue", "bank", "requires", "signal", "output", "error", "dependency",
        "setattr", "setopt", "urgency", "cwd"}
UNSET = ("FLUX_JOB_", "FLUX_TASK_", "FLUX_ENCLOSING_ID", "FLUX_KVS_NAMESPACE", "PMI_", "PMIX_", "SLURM_")
DIGITS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def refuse(message):
    print(f"flux: ERROR: {message}", file=sys.stderr)
    sys.exit(1)


def f58(number):
    number, digits = int(number) << 24, ""
    while number:
        number, digit = divmod(number, 58)
        digits = DIGITS[digit] + digits
    return "ƒ" + digits


def known(job_id):
    """The number of an id that this instance knows; Flux accepts `f` for `ƒ`."""
    if not re.fullmatch(f"[ƒf][{DIGITS}]+", job_id):
        refuse(f"invalid JobID value: {job_id}")
    return next((n for n in STORE.numbers() if f58(n)[1:] == job_id[1:] and STORE.read(n, "state")), None)


def seconds(text):
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?", text)
    if not match:
        refuse(f"invalid Flux standard duration '{text}'")
    return float(match[1]) * {"ms": 0.001, None: 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def directives(text):
    """The words of `# flux:` lines, which must be in one block of lines with that start."""
    words, over = [], False
    lines = text.splitlines()
    if not lines or not lines[0].startswith("#!"):
        refuse("batch script must start with #!")
    for line in lines[1:]:
        if re.match(r"^\W*flux:", line):
            if not line.startswith("# flux:"):
                refuse("sentinel changed")
            if over:
                refuse("orphan 'flux:' detected: directives must be grouped together")
            words += shlex.split(line[len("# flux:"):], comments=True)
        elif line.strip() and not line.startswith("#"):
            over = True
    return words


def parse(words, options):
    rest = list(words)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        name, has_value, value = word[2:].partition("=")
        if word == "--exclusive":
            options["exclusive"] = True
        elif word.startswith("--") and name in LONG:
            options[name] = value if has_value else rest.pop(0)
        else:
            print(f"flux-batch: error: unrecognized arguments: {word}", file=sys.stderr)
            sys.exit(2)
    return rest


def batch(arguments):
    if os.environ.get("FLUX_URI", SYSTEM) != SYSTEM:
        refuse("this is the instance of a job, which has no free nodes")
    given, options = {}, {}
    rest = parse(arguments, given)
    if not rest:
        refuse("no script")
    text = open(rest[0]).read()
    if parse(directives(text), options):
        refuse("words after the options")
    options.update(given)
    if "exclusive" in options and "nodes" not in options:
        refuse("--exclusive can only be set with a node count")
    warning = None
    if "signal" in options:
        name, _, lead = options["signal"].partition("@")
        warning = [(name or "SIGUSR1").removeprefix("SIG"), seconds(lead or "60")]
    after = None
    if "dependency" in options:
        match = re.fullmatch(r"afterany:(\S+)", options["dependency"])
        after = known(match[1]) if match else None
        if after is None:
            refuse(f"dependency: {options['dependency']}: job not found")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(UNSET)}
    number = STORE.create({
        "name": options.get("job-name", "script"), "nodes": int(options["nodes"]),
        "walltime": seconds(options["time-limit"]), "warning": warning, "after": after,
        "output": options.get("output", "flux-{{id}}.out"), "environment": kept, "folder": os.getcwd(),
    }, text)
    STORE.write(number, "state", {"state": "DEPEND" if after else "SCHED", "runs": 0})
    STORE.watch(number, os.path.abspath(__file__))
    print(f"Your bank has 12 hours left.\n{f58(number)}")


class Job(jobs.Job):
    def may_start(self):
        after = self.spec["after"]
        return not after or self.store.read(after, "state")["state"] == "INACTIVE"

    def queue_wish(self, wish):
        pass

    def cancelled_in_queue(self):
        self.say("INACTIVE", result="CANCELED", code=-128, exception="cancel")

    def command(self):
        return [self.store.path(self.number, "script")]

    def folder(self):
        return self.spec["folder"]

    def output(self):
        return open(self.spec["output"].replace("{{id}}", f58(self.number)), "ab")

    def environment(self):
        return {**self.spec["environment"], "FLUX_URI": f"local:///tmp/flux-{self.number}/local-0"}

    def to_script(self, name):
        try:
            os.killpg(self.script.pid, getattr(signal, f"SIG{name}"))
        except ProcessLookupError:
            pass

    def run(self):
        self.start()
        self.say("RUN", since=self.since)
        warning, why, kill_at = self.spec["warning"], None, None
        while self.script.poll() is None:
            left, wish = self.spec["walltime"] - self.used(), self.asked()
            if warning and left <= warning[1]:
                self.to_script(warning[0])
                self.signal(warning[0], self.ranks())
                warning = None
            if why is None and (wish == "cancel" or left <= 0):
                why = "cancel" if wish == "cancel" else "timeout"
                kill_at = time.time() + KILL_TIMEOUT
                self.to_script("HUP")
                self.signal("TERM", self.ranks())
            if kill_at and time.time() >= kill_at:
                self.signal("KILL", self.everywhere())
            time.sleep(0.05)
        code, used = self.script.returncode, self.used()
        self.clean()
        code = code if code >= 0 else 128 - code
        result = {"cancel": "CANCELED", "timeout": "TIMEOUT"}.get(why) or ("COMPLETED" if code == 0 else "FAILED")
        self.say("INACTIVE", result=result, code=code, exception=why or "", used=used)
        return False


def show(number):
    spec, state = STORE.read(number, "spec"), STORE.read(number, "state")
    since = state.get("since")
    used = state.get("used", time.time() - since if since else 0.0)
    return {
        "id.f58": f58(number), "state": state["state"], "result": state.get("result", ""), "urgency": "16",
        "nnodes": str(spec["nodes"]) if state["runs"] else "", "name": spec["name"],
        "t_remaining": f"{since + spec['walltime'] - time.time() if since else 0.0:.6f}", "runtime": f"{used:.6f}",
        "returncode": str(state.get("code", "")), "exception.type": state.get("exception", ""),
        "exception.note": "", "dependencies": f"['after-finish={f58(spec['after'])}']" if spec["after"] else "[]",
    }


def list_jobs(arguments):
    if os.environ.get("FLUX_URI", SYSTEM) != SYSTEM:
        return
    rest, every = list(arguments), False
    form, status = "", 0
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "-o":
            form = rest.pop(0)
        elif option == "-a":
            every = True
        elif option not in ("-n", "--color=never"):
            print(f"flux-jobs: error: unrecognized arguments: {option}", file=sys.stderr)
            sys.exit(2)
    numbers = STORE.numbers() if every else []
    for job_id in rest:
        number = known(job_id)
        if number is None:
            print(f"flux-jobs: ERROR: JobID {job_id} unknown", file=sys.stderr)
            status = 1
        else:
            numbers.append(number)
    for number in numbers:
        fields = show(number)
        print(re.sub(r"\{([a-z0-9_.]+)\}", lambda match: fields[match[1]], form))
    sys.exit(status)


def cancel(arguments):
    for job_id in arguments:
        number = known(job_id)
        if number is None or STORE.read(number, "state")["state"] == "INACTIVE":
            print(f"flux-cancel: ERROR: {job_id}: job is inactive or unknown", file=sys.stderr)
            sys.exit(1)
        STORE.write(number, "request", "cancel")


def own_number():
    match = re.fullmatch(r"local:///tmp/flux-(\d+)/local-0", os.environ.get("FLUX_URI", ""))
    if not match:
        refuse("not in the instance of a job")
    return match[1]


def get_attribute(arguments):
    known_names = {"jobid": f58(own_number()), "parent-uri": SYSTEM}
    if arguments[0] not in known_names:
        refuse(f"getattr {arguments[0]}: No such file or directory")
    print(known_names[arguments[0]])


def run(arguments):
    rest, options = list(arguments), {}
    while rest and rest[0].startswith("--"):
        name, _, value = rest.pop(0)[2:].partition("=")
        if name not in ("nodes", "ntasks", "cores-per-task", "setopt"):
            print(f"flux-run: error: unrecognized arguments: --{name}", file=sys.stderr)
            sys.exit(2)
        options.setdefault(name, []).append(value)
    number = own_number()
    if int(options["nodes"][0]) > STORE.read(number, "spec")["nodes"]:
        refuse("unsatisfiable request")
    alone = "exit-timeout=none" not in options.get("setopt", [])
    environment = lambda rank: {"FLUX_JOB_ID": "ƒA1", "FLUX_TASK_RANK": str(rank)}  # noqa: E731
    sys.exit(jobs.launch(STORE, number, rest, int(options["ntasks"][0]), environment, alone))


def job(arguments):
    if arguments[0] != "info" or arguments[2] != "jobspec":
        refuse("here only `flux job info ID jobspec`")
    spec = STORE.read(known(arguments[1]), "spec")
    print('{"attributes": {"system": {"shell": {"options": {"output": {"stdout": {"path": "'
          + spec["output"] + '"}}}}}}}')


VERBS = {"batch": batch, "jobs": list_jobs, "cancel": cancel, "getattr": get_attribute, "run": run, "job": job,
         "daemon": lambda arguments: Job(STORE, arguments[0]).live()}

if __name__ == "__main__":
    VERBS[sys.argv[1]](sys.argv[2:])
