"""A stand-in for PBS Professional as ALCF runs it, for tests: `qsub`, `qstat`, `qselect`, `qdel`,
`qsig`, `qrerun`, and the `mpiexec` of PALS.

Jobs are real processes that get the real sequences of signals: TERM and, after kill_delay, KILL at
the walltime and by `qdel`; KILL at once by `qrerun`, as by a preemption; STOP and CONT by `qsig -s
suspend` and `resume`, on all hosts. No job gets a signal before its end. What PBS refuses is refused:
unknown options, directives after a command, a request without project, walltime or file systems. A
job has the environment of a login, not that of `qsub`. `qstat` prints JSON as PBS does, with a job's
name unquoted if it looks like a number.
"""

import json
import os
import re
import shlex
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import jobs  # noqa: E402

STORE = jobs.Store(os.environ.get("PBS_STANDIN", ""))
SERVER = "pbs1"
# Seconds between TERM and KILL.
KILL_DELAY = float(os.environ.get("PBS_STANDIN_KILL_DELAY", "10"))
# Largest number of starts of a job, which is held afterwards.
STARTS_MAX = 20
WITH_VALUE = set("AaCceJjklmMNopqRrSuvWw")
WITHOUT = set("VXzhIf")
# What a login of the user would set.
OF_LOGIN = ("HOME", "LOGNAME", "USER", "SHELL", "LANG", "PATH", "PBS_STANDIN", "PBS_STANDIN_KILL_DELAY",
            "THRESHER_TEST_PACE", "OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM")


def refuse(message, status=1):
    print(f"qsub: {message}", file=sys.stderr)
    sys.exit(status)


def directives(text):
    """The words of `#PBS` lines, which end at the first command."""
    words = []
    for line in text.splitlines():
        if line.startswith("#PBS "):
            words += shlex.split(line[5:])
        elif line.strip() and not line.startswith("#"):
            break
    return words


def parse(words, options):
    """Adds options to a table of lists, and returns the other words."""
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "--":
        word = rest.pop(0)
        name, joined = word[1:2], word[2:]
        if name in WITHOUT and not joined:
            options.setdefault(name, []).append("")
        elif name in WITH_VALUE:
            if not joined and not rest:
                refuse(f"option requires an argument -- '{name}'", 2)
            options.setdefault(name, []).append(joined or rest.pop(0))
        else:
            refuse(f"invalid option -- '{name}'", 2)
    return rest


def seconds(text):
    if not re.fullmatch(r"(\d+:){0,2}\d+", text):
        refuse(f"Illegal attribute or resource value Resource_List.walltime={text}")
    total = 0
    for part in text.split(":"):
        total = total * 60 + int(part)
    return total


def known(job_id):
    """The number of an id that PBS knows."""
    match = re.fullmatch(rf"(\d+)(\.{SERVER})?", job_id)
    return match[1] if match and STORE.read(match[1], "state") else None


def qsub(arguments):
    given = {}
    rest = parse(arguments, given)
    if len(rest) != 1:
        refuse("script file: name it as the last word", 2)
    text = open(rest[0]).read()
    options = {}
    if parse(directives(text), options):
        refuse("directive error: words after the options")
    options.update(given)
    resources = dict(item.split("=", 1) for entry in options.get("l", []) for item in entry.split(","))
    if "select" not in resources:
        refuse("Resource: select is required to be set.")
    if "A" not in options:
        refuse("Account_Name is required to be set.")
    for name in ("walltime", "filesystems"):
        if name not in resources:
            refuse(f"Resource: {name} is required to be set.")
    if not resources.get("place", "").startswith("scatter"):
        refuse("chunks may share a host: place=scatter is missing")
    if options.get("k", ["doe"])[-1] != "doe":
        refuse("Keep_Files is set by the site")
    nodes, *chunk = resources["select"].split(":")
    after = None
    for entry in options.get("W", []):
        match = re.fullmatch(r"depend=afterany:(\S+)", entry)
        if match and not known(match[1]):
            refuse(f"Unknown Job Id {match[1]}", 153)
        after = known(match[1]) if match else after
    number = STORE.create({
        "name": options["N"][-1], "nodes": int(nodes), "chunk": chunk, "walltime": seconds(resources["walltime"]),
        "after": after, "rerun": options.get("r", ["y"])[-1] == "y", "output": options.get("o", [""])[-1],
        "join": options.get("j", ["n"])[-1], "folder": os.getcwd(),
        "login": {name: os.environ[name] for name in OF_LOGIN if name in os.environ},
    }, text)
    STORE.write(number, "state", {"state": "Q", "runs": 0})
    STORE.watch(number, os.path.abspath(__file__))
    print("Job will be charged to project " + options["A"][-1] + ".\n      Pass!")
    print(f"{number}.{SERVER}\nRequest estimate: 0.5 node-hours")


class Job(jobs.Job):
    def may_start(self):
        return not self.held() and self.after_has_ended() and self.runs < STARTS_MAX

    def held(self):
        return bool(self.store.read(self.number, "hold"))

    def after_has_ended(self):
        if not self.spec["after"]:
            return True
        return self.store.read(self.spec["after"], "state")["state"] == "F"

    def queue_wish(self, wish):
        waits = not self.after_has_ended()
        after = self.spec["after"] and self.store.read(self.spec["after"], "state")
        if after and after["state"] == "F" and after["runs"] == 0 and not self.runs:
            # The one before was deleted before it ran: so is this one.
            self.cancelled_in_queue()
            sys.exit(0)
        if self.runs >= STARTS_MAX:
            self.say("H", substate=20, comment="job held, too many failed attempts to run")
        elif waits:
            self.say("H", substate=22)
        elif wish or self.store.read(self.number, "state")["state"] != "Q":
            self.say("Q", substate=10)

    def cancelled_in_queue(self):
        self.say("F", substate=91, comment="Job deleted before it ran")

    def command(self):
        return [self.store.path(self.number, "script")]

    def folder(self):
        return self.spec["login"].get("HOME", "/")

    def output(self):
        """With `-k doe`, output is written while the job runs."""
        place = self.spec["output"]
        name = f"{self.number}.{SERVER}.OU"
        return open(os.path.join(place, name) if os.path.isdir(place) else place or os.devnull, "ab")

    def environment(self):
        hosts = self.store.path(self.number, "nodes")
        with open(hosts, "w") as out:
            out.writelines(f"x{n + 1}.hsn.example\n" for n in range(self.spec["nodes"]))
        return {**self.spec["login"], "PBS_JOBID": f"{self.number}.{SERVER}", "PBS_JOBNAME": self.spec["name"],
                "PBS_NODEFILE": hosts, "PBS_O_WORKDIR": self.spec["folder"], "PBS_ENVIRONMENT": "PBS_BATCH",
                "PBS_QUEUE": "prod", "PBS_JOBDIR": self.folder(), "NCPUS": "1"}

    def run(self):
        self.start()
        self.say("R", substate=42, since=self.since)
        plan, why, stopped = [], None, None
        while self.script.poll() is None:
            now, wish = time.monotonic(), self.asked()
            if wish == "suspend" and stopped is None:
                stopped = now
                self.signal("STOP", self.everywhere())
                self.say("S", substate=43, used=int(self.used()))
            elif wish == "resume" and stopped is not None:
                self.frozen += now - stopped
                stopped = None
                self.signal("CONT", self.everywhere())
                self.say("R", substate=42, since=self.since + self.frozen)
            elif wish == "rerun":
                why = "rerun"
                plan = [(now, "KILL")]
            elif wish == "cancel" and why is None:
                why = "cancel"
                plan = [(now, "CONT"), (now, "TERM"), (now + KILL_DELAY, "KILL")]
            if why is None and stopped is None and self.used() >= self.spec["walltime"]:
                why = "walltime"
                plan = [(now, "TERM"), (now + KILL_DELAY, "KILL")]
            while plan and plan[0][0] <= now:
                self.signal(plan.pop(0)[1], self.everywhere())
            time.sleep(0.05)
        code = self.script.returncode
        used = int(self.used())
        self.clean()
        if why == "rerun":
            self.say("Q", substate=10, comment="Not Running: requeued")
            return True
        status = -29 if why == "walltime" else code if code >= 0 else 256 - code
        comment = f"Job run at {time.ctime(self.since)}"
        comment += {"walltime": " and exceeded resource walltime", None: " and finished"}.get(why, " and failed")
        substate = 91 if why == "cancel" else 92 if status == 0 else 93
        self.say("F", substate=substate, status=status, comment=comment, used=used)
        return False


def attributes(number):
    spec, state = STORE.read(number, "spec"), STORE.read(number, "state")
    used = state.get("used", int(time.time() - state["since"]) if "since" in state else None)
    clock = lambda s: f"{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}"  # noqa: E731
    shown = {
        "Job_Name": spec["name"], "Job_Owner": "user@login1", "job_state": state["state"], "queue": "prod",
        "substate": state.get("substate", 10), "run_count": state["runs"],
        "Output_Path": f"login1:{spec['output']}",
        "Resource_List": {"nodect": spec["nodes"], "walltime": clock(spec["walltime"])},
        "Variable_List": {"PBS_O_HOME": "/u/user", "PBS_O_LANG": 0, "QUOTED": "a\"b"},
    }
    if spec["after"]:
        shown["depend"] = f"afterany:{spec['after']}.{SERVER}@{SERVER}"
    if used is not None:
        shown["resources_used"] = {"cput": "00:00:01", "walltime": clock(used)}
    if "status" in state:
        shown["Exit_status"] = state["status"]
    if "comment" in state:
        shown["comment"] = state["comment"]
    return shown


def qstat(arguments):
    history = "-x" in arguments
    if arguments[:4] != ["-x", "-f", "-F", "json"]:
        print("usage: here only -x -f -F json", file=sys.stderr)
        sys.exit(2)
    found, status = {}, 0
    for job_id in arguments[4:]:
        number = known(job_id)
        if number is None or not history:
            print(f"qstat: Unknown Job Id {job_id}", file=sys.stderr)
            status = 153
        else:
            found[f"{number}.{SERVER}"] = attributes(number)
    if found:
        text = json.dumps({"timestamp": int(time.time()), "pbs_version": "2022.1.1", "pbs_server": SERVER,
                           "Jobs": found}, indent=4)
        # As `qstat` does with what C reads as a number.
        print(re.sub(r'"PBS_O_LANG": 0', '"PBS_O_LANG": 00', text))
    sys.exit(status)


def qselect(arguments):
    name = arguments[arguments.index("-N") + 1]
    for number in STORE.numbers():
        if STORE.read(number, "spec")["name"] == name:
            print(f"{number}.{SERVER}")


def ask(program, word):
    def verb(arguments):
        wish, rest = word, list(arguments)
        if program == "qsig":
            if rest[:1] != ["-s"] or rest[1] not in ("suspend", "resume"):
                sys.exit("qsig: here only -s suspend and -s resume")
            wish, rest = rest[1], rest[2:]
        status = 0
        for job_id in rest:
            number = known(job_id)
            state = STORE.read(number, "state") if number else None
            if state is None:
                print(f"{program}: Unknown Job Id {job_id}", file=sys.stderr)
                status = 153
            elif state["state"] == "F":
                print(f"{program}: Job has finished {job_id}", file=sys.stderr)
                status = 35
            elif wish == "rerun" and not STORE.read(number, "spec")["rerun"]:
                print(f"{program}: Job not rerunnable {job_id}", file=sys.stderr)
                status = 1
            else:
                STORE.write(number, "request", wish)
        sys.exit(status)
    return verb


def mpiexec(arguments):
    rest, options = list(arguments), {"--no-abort-on-failure": False}
    while rest and rest[0].startswith("-"):
        name = rest.pop(0)
        if name in ("--no-abort-on-failure", "--no-transfer"):
            options[name] = True
        elif name in ("-n", "--ppn", "--cpu-bind", "--host", "--hostfile", "--depth"):
            options[name] = rest.pop(0)
        else:
            print(f"mpiexec: Error: no such option: {name}", file=sys.stderr)
            sys.exit(2)
    number = os.environ["PBS_JOBID"].split(".")[0]
    hosts = [line.strip() for line in open(os.environ["PBS_NODEFILE"])]
    if "--host" in options:
        wanted = options["--host"].split(",")
        if set(wanted) - set(hosts):
            sys.exit("mpiexec: Error: host is not in the allocation")
        hosts = wanted
    count = int(options["-n"])
    if count > len(hosts) * int(options.get("--ppn", count)):
        sys.exit("mpiexec: Error: more processes than the hosts take")
    environment = lambda rank: {"PALS_RANKID": str(rank), "PALS_LOCAL_RANKID": "0", "PMI_RANK": str(rank),
                                "PMI_SIZE": str(count), "PMI_LOCAL_RANK": "0", "PMI_LOCAL_SIZE": "1"}  # noqa: E731
    sys.exit(jobs.launch(STORE, number, rest, count, environment, not options["--no-abort-on-failure"]))


VERBS = {"qsub": qsub, "qstat": qstat, "qselect": qselect, "qdel": ask("qdel", "cancel"), "qsig": ask("qsig", None),
         "qrerun": ask("qrerun", "rerun"), "mpiexec": mpiexec, "daemon": lambda arguments: Job(STORE, arguments[0]).live()}

if __name__ == "__main__":
    VERBS[sys.argv[1]](sys.argv[2:])
