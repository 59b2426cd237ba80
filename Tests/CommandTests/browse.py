"""Clicks through what tools/browse serves: every link of the start page, and its plots in headless Chromium.

    python browse.py ADDRESS CHROMIUM SCRATCH      prints a line for each thing that is wrong, and last what was seen
"""

import html
import json
import re
import subprocess
import sys
import urllib.parse
import urllib.request

address, chromium, scratch = sys.argv[1:]


def get(path):
    with urllib.request.urlopen(urllib.parse.urljoin(address, path), timeout=60) as answer:
        return answer.read().decode()


def rows(path, **arguments):
    return json.loads(get(f"{path}.json?" + urllib.parse.urlencode({"_shape": "array", **arguments})))


def page(path):
    """A page as the browser has it once its scripts have run."""
    ran = subprocess.run(
        [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={scratch}", "--window-size=1440,1500",
         "--virtual-time-budget=20000", "--dump-dom", urllib.parse.urljoin(address, path)],
        capture_output=True, text=True, timeout=120)
    return ran.stdout


def expect(fine, what):
    if not fine:
        print(what)


start = page("/")
links = [html.unescape(link) for link in re.findall(r'href="(/[^"]*)"', start)]
links = [link for link in links if link.startswith(("/catalog/", "/-/dashboards"))]
for link in links:
    text = get(link)
    expect("class=\"message-error\"" not in text and "<h1>Error" not in text, f"{link} is an error")
expect(not re.search(r'(src|href)="(https?:)?//(?!127\.0\.0\.1|datasette\.io)', start), "the page loads something from elsewhere")

# The tables say what the catalogue says, and an image links to all that is known of it.
accurate = rows("/catalog/how_accurate")
expect({(row["network"], row["attack"]): row["rows"] for row in accurate} ==
       {(row["network"], row["attack"]): row["rows"] for row in rows("/catalog/accuracy")}, f"how_accurate says {accurate}")
image = rows("/catalog/rows", _size=1)[0]["image"]
table = page("/catalog/rows")
link = "/catalog/one_image?" + urllib.parse.urlencode({"image": image})
expect(f'href="{html.escape(link)}"' in table, f"{image} has no link in the table")
expect(len(rows("/catalog/one_image", image=image)) == len(accurate), f"one_image of {image}")
largest = rows("/catalog/largest_logits", image=image)
expect(len(largest) == 5 * len(accurate) and all(0 < row["probability"] <= 1 for row in largest), f"logits of {image}")

plots = 0
boards = {board: page(board) for board in ("/-/dashboards/overview", "/-/dashboards/logits")}
for board, seen in boards.items():
    cards = re.findall(r'id="card-([a-z]+)"', seen)
    drawn = re.findall(r'<svg [^>]*class="marks".*?</svg>', seen, re.S)
    expect(len(cards) >= 4 and len(drawn) == len(cards), f"{board} draws {len(drawn)} of {len(cards)} plots")
    for card, plot in zip(cards, drawn):
        expect(len(re.findall(r'aria-roledescription="(bar|point|circle|line mark container|rule|tick)"', plot)) > 0,
               f"{board} draws nothing in {card}")
    plots += len(drawn)

# The bars of the histogram of the mean logit, as they are drawn, count every row.
bars = re.findall(r'aria-label="low: [^";]* – [^";]*; images: (\d+); attack: ([^"]*)"', boards["/-/dashboards/logits"])
for part in accurate:
    drawn = sum(int(count) for count, attack in bars if attack == part["attack"])
    expect(drawn == 2 * part["rows"], f"two histograms draw {drawn} of {part['rows']} rows under {part['attack']}")

# The query of the histogram plot, as the browser asks it.
query = json.loads(re.search(r"renderChart\('histogram', (\{.*?\}), '", get("/-/dashboards/logits"), re.S).group(1))["query"]
part = accurate[0]
choice = {name: part[name] for name in ("dataset", "split", "network")}
bins = rows("/catalog", sql=query, statistic="label_margin", bins="7", **choice)
counts = [row["images"] for row in bins if row["attack"] == part["attack"]]
expect(len(counts) == 8 and sum(counts) == part["rows"], f"the histogram counts {counts}")
print(f"{len(links)} links, {plots} plots")
