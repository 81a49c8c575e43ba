"""What every peer script prints: CPU seconds (user and system, children included), never wall time.

The machines that run our benches are shared, so that only CPU time compares. `import` time counts
where a script starts its first stage before importing the peer: users pay it too.
"""
import json
import resource


def cpu_seconds():
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    return total


def report(**facts):
    """One JSON line: the script's facts, the CPU of the whole process and its peak memory."""
    peak = max(resource.getrusage(who).ru_maxrss
               for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({
        **facts, "cpu_seconds": round(cpu_seconds(), 3), "peak_rss_bytes": peak * 1024}))
