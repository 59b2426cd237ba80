"""Our side of tools/bench-sql, in a Python whose sqlite3 loads extensions: a query a line from standard input, and a line of
JSON for each (seconds, CPU seconds of all threads, the first row).

    sql_ask.py EXTENSION CATALOGUE
"""
import json, resource, sqlite3, sys, time


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


connection = sqlite3.connect(sys.argv[2])
connection.enable_load_extension(True)
connection.load_extension(sys.argv[1])
for query in sys.stdin:
    wall, used = time.perf_counter(), cpu()
    row = connection.execute(json.loads(query)).fetchone()
    print(json.dumps(dict(wall=time.perf_counter() - wall, cpu=cpu() - used, row=row)), flush=True)
