"""Two connections in two threads ask at the same time, again and again; connections are closed while queries are open.

    threads.py LIBRARY CATALOGUE [ANOTHER LIBRARY]
"""
import sqlite3, sys, threading

libraries, catalogue = [sys.argv[1], *sys.argv[3:]], sys.argv[2]
QUERIES = [
    "SELECT count(*), sum(mean(z)), max(l2(z)) FROM logits",
    "SELECT vec_mean(z) FROM logits WHERE attack = 'clean'",
    "SELECT c.image, cosine(c.z, a.z) FROM logits c JOIN logits a ON a.image = c.image WHERE a.attack = 'pgd' AND c.attack = 'clean'",
    "SELECT attack, vec_max(z), count(*) FROM logits GROUP BY attack ORDER BY attack",
    "SELECT l.ordinal, t.class FROM logits l, top_k(l.z, 2) t ORDER BY 1, 2",
    # The vector of another row than the last: it must outlive the cursor's step.
    "SELECT max(ordinal), hex(z) FROM logits WHERE attack = 'clean'",
    "SELECT ordinal, hex(lag(z) OVER (ORDER BY ordinal)) FROM logits WHERE attack = 'clean'",
]


def connect(number=0):
    connection = sqlite3.connect(catalogue)
    connection.enable_load_extension(True)
    connection.load_extension(libraries[number % len(libraries)])
    return connection


expected = [connect().execute(query).fetchall() for query in QUERIES]
problems = []


def ask(number):
    try:
        for turn in range(5):
            connection = connect(number)
            for query, answer in zip(QUERIES, expected):
                if connection.execute(query).fetchall() != answer:
                    problems.append(f"another answer to {query}")
            begun = connection.execute("SELECT z FROM logits")
            begun.fetchone()
            if turn % 2:
                del begun
            connection.close()
    except Exception as error:
        problems.append(repr(error))


threads = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
last = connect().execute("SELECT hex(z) FROM logits WHERE attack = 'clean' ORDER BY ordinal DESC LIMIT 1").fetchone()[0]
if expected[5][0][1] != last:
    problems.append("a row's vector changed under it")
print("\n".join(problems) or "ok")
