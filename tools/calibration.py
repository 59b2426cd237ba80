"""What the machine gives: shared by the benchmarks, which print it first."""
import multiprocessing, os, subprocess, time


def spin(core):
    os.sched_setaffinity(0, {core})
    begin, state = time.monotonic(), 1
    for _ in range(6_000_000):
        state = state * 5 % 1000003
    return time.monotonic() - begin


def two_threads():
    """What two pinned busy processes reach of twice one, in words: shared cores sometimes do the work of one."""
    cores = sorted(os.sched_getaffinity(0))
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(spin, [cores[0], cores[-1]], chunksize=1)
        one = pool.apply(spin, (cores[0],))
        two = max(pool.map(spin, [cores[0], cores[-1]], chunksize=1))
    return f"two pinned busy threads reach {2 * one / two / 2:.0%} of twice one ({len(cores)} cores)"


def file_system(folder):
    """Type and mount of the file system that holds a folder."""
    found = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True).stdout.strip()
    return f"{folder} lies on {found or 'an unknown file system'}"


def processor():
    with open("/proc/cpuinfo") as lines:
        return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown processor")
